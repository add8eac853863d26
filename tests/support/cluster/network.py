"""Which pods can connect to which ports: tried from within each pod's own network."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.cluster.region import Region

_PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def connects(address):
    try:
        socket.create_connection(tuple(address), 2).close()
    except OSError:
        return False
    return True

addresses = json.loads(sys.argv[1])
with ThreadPoolExecutor(32) as pool:
    print(json.dumps(list(pool.map(connects, addresses))))
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port of a component's pods."""

    component: str
    port: int


def answers(
    region: Region, components: Sequence[str], endpoints: Sequence[Endpoint]
) -> dict[Endpoint, set[str]]:
    """The components whose pods can connect to each endpoint, one pod for each; not to their own."""
    pods = {component: region.pods(component)[0] for component in components}
    addresses = [(pods[end.component].address, end.port) for end in endpoints]
    found: dict[Endpoint, set[str]] = {end: set() for end in endpoints}
    for component, pod in pods.items():
        done = region.cluster.run(
            "nsenter", f"--target={region.process(pod)}", "--net",
            "python3", "-c", _PROBE, json.dumps(addresses),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for end, connected in zip(endpoints, json.loads(done.stdout), strict=True):
            if connected and end.component != component:
                found[end].add(component)
    return found
