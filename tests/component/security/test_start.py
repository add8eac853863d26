"""With what the gateway does not start: a signing key in a file, where others could call."""

import os
import subprocess
import sys
from pathlib import Path

from rag_local import dev_keys

SECONDS = 60


def started(home: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """The gateway, ended if it has not ended by itself."""
    dev_keys.ensure(home / "keys")
    own = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    ports = dict.fromkeys(("GATEWAY_PORT", "GATEWAY_HEALTH_PORT", "GATEWAY_HTTP_PORT"), "0")
    command = ["timeout", "--signal=KILL", "15", sys.executable, "-m", "rag_gateway"]
    return subprocess.run(
        command,
        env={**own, "RAG_HOME": str(home), **ports, **settings},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_key_in_a_file_signs_nothing_where_other_machines_can_call(tmp_path: Path) -> None:
    ended = started(tmp_path, GATEWAY_HOST="0.0.0.0", GATEWAY_PLAINTEXT="true")  # noqa: S104
    assert ended.returncode == 2
    assert "GATEWAY_SIGNER" in ended.stderr
