"""The first command of an alert's runbook, with its placeholders filled in, run as the page has it."""

import os
import re
import subprocess
from collections.abc import Mapping

from tests.support.observability.fixtures import RUNBOOKS
from tests.support.parts import tool

_BLOCK = re.compile(r"^## First look$.*?^```sh$\n(?P<first>[^\n]+)$", re.MULTILINE | re.DOTALL)
_PORTS = {
    "50071": "gateway",
    "50072": "embedder",
    "50073": "retriever",
    "50074": "generator",
    "50077": "ingestor",
}
_SECONDS = 20.0


def command(alert: str) -> str:
    """The first line of the page's first block of commands, as it stands there."""
    result = _BLOCK.search((RUNBOOKS / f"{alert}.md").read_text("utf-8"))
    assert result, f"{alert}.md has no command below First look"
    return result["first"]


def filled(command: str, service: str, ports: Mapping[str, int]) -> str:
    """HOST and its port as this machine has them: `ports` are the services' HTTP ports.

    A port of the documentation stands for the service that it belongs to, PORT for the service that
    the alert names.
    """

    def address(found: re.Match[str]) -> str:
        return f"127.0.0.1:{ports[_PORTS.get(found['port'], service)]}"

    return re.sub(r"\bHOST:(?P<port>PORT\b|5007[1-4])", address, command)


def printed(command: str) -> str:
    """What the command prints to a person at a shell, errors included, however it ends."""
    environment = {**os.environ, "no_proxy": "*", "LC_ALL": "C"}
    done = subprocess.run(
        [tool("bash", "apt-get install bash"), "-c", command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return done.stdout
