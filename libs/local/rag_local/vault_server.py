"""An OpenBao of this machine: a process with its data, certificate and audit log below one folder."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hvac
import requests

from rag_local.authority import Authority
from rag_local.processes import StartFailed, free_port, program

_INSTALL = "pip install -e '.[dev]' brings it"
_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0


class VaultServer:
    """Started, unsealed and stopped; the data outlive it.

    Raft on disk and not `-dev`: a restart is sealed and finds its data, as in production. The unseal
    key and the root token lie beside the data, in a file of mode 600: for one machine's use alone.
    """

    def __init__(self, home: Path, port: int) -> None:
        self._home = home
        self._port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"https://127.0.0.1:{self._port}"
        self.ca_file = home / "tls" / "ca.crt"
        self.audit_file = home / "audit.log"

    def start(self) -> None:
        """Start the process and wait until it answers; it is sealed then. Raises StartFailed."""
        (self._home / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
        tls = self._home / "tls"
        Authority(tls).issue(tls, ["localhost", "127.0.0.1"])
        (self._home / "server.hcl").write_text(self._configuration())
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("bao", _INSTALL), "server", f"-config={self._home / 'server.hcl'}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait(lambda _health: True)

    def unseal(self) -> None:
        """Initialise it the first time, unseal it, and wait until it serves. Raises StartFailed."""
        client = self.client("")
        if not self._keys_file.is_file():
            made = client.sys.initialize(secret_shares=1, secret_threshold=1)
            write_private(
                self._keys_file,
                json.dumps({"unseal_key": made["keys"][0], "root_token": made["root_token"]}),
            )
        client.sys.submit_unseal_key(self._keys()["unseal_key"])
        self._wait(
            lambda health: health["initialized"] and not health["sealed"] and not health["standby"]
        )

    def root(self) -> Any:
        """A client that may do everything."""
        return self.client(self._keys()["root_token"])

    def client(self, token: str) -> Any:
        """A client with that token."""
        return hvac.Client(
            url=self.address, token=token, session=self._http(), timeout=_READY_SECONDS
        )

    def stop(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def _keys_file(self) -> Path:
        return self._home / "operator.json"

    def _keys(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._keys_file.read_text())
        return found

    def _http(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca_file)
        return session

    def _wait(self, ready: Callable[[dict[str, Any]], bool]) -> None:
        """Return when what it says of its health is `ready`."""
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                raise StartFailed(f"Vault ended; its log is {self._home / 'server.log'}")
            try:
                reply = self._http().get(f"{self.address}/v1/sys/health", timeout=1.0)
                if ready(reply.json()):
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.02)
        raise StartFailed(f"Vault is not ready in time; its log is {self._home / 'server.log'}")

    def _configuration(self) -> str:
        tls, cluster = self._home / "tls", f"127.0.0.1:{free_port()}"
        return f"""\
storage "raft" {{
  path                   = {_quoted(self._home / "data")}
  node_id                = "local"
  performance_multiplier = 1
}}

listener "tcp" {{
  address         = "127.0.0.1:{self._port}"
  cluster_address = "{cluster}"
  tls_cert_file   = {_quoted(tls / "tls.crt")}
  tls_key_file    = {_quoted(tls / "tls.key")}
}}

audit "file" "file" {{
  options {{
    file_path = {_quoted(self.audit_file)}
  }}
}}

api_addr     = "{self.address}"
cluster_addr = "https://{cluster}"
"""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whatever lay there."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _quoted(path: Path) -> str:
    return json.dumps(str(path.resolve()))
