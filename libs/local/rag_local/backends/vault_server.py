"""A local OpenBao server: a process with its data, certificate and audit log in one folder."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hvac
import requests

from rag_local.certificate_authority import Authority
from rag_local.child import end
from rag_local.program import StartFailed, free_port, program, start_logged, wait_ready

_INSTALL = "`make run VAULT=1` or `make test` installs it"
_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0


class VaultServer:
    """An OpenBao process that can be started, unsealed and stopped; its data persist.

    It uses Raft on disk instead of `-dev`: after a restart it is sealed and has its data, as in
    production. The unseal key and the root token are stored beside the data, in a file of mode 600: for
    local use only.
    """

    def __init__(self, home: Path, port: int, host: str = "127.0.0.1") -> None:
        self._home = home
        self._host = host
        self._port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"https://{host}:{self._port}"
        self.ca_file = home / "tls" / "ca.crt"
        self.audit_file = home / "audit.log"

    def start(self) -> None:
        """Start the process and wait until it responds; it is sealed then. Raises StartFailed."""
        (self._home / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
        tls = self._home / "tls"
        Authority(tls).issue(tls, sorted({"localhost", "127.0.0.1", self._host}))
        (self._home / "server.hcl").write_text(self._configuration())
        command = [program("bao", _INSTALL), "server", f"-config={self._home / 'server.hcl'}"]
        self._process = start_logged(command, self._home / "server.log")
        self._wait(lambda _health: True)

    def unseal(self) -> None:
        """Initialise it the first time, unseal it, and wait until it serves. Raises StartFailed."""
        client = self.client("")
        if not self._keys_file.is_file():
            created = client.sys.initialize(secret_shares=1, secret_threshold=1)
            write_private(
                self._keys_file,
                json.dumps({"unseal_key": created["keys"][0], "root_token": created["root_token"]}),
            )
        client.sys.submit_unseal_key(self._keys()["unseal_key"])
        self._wait(
            lambda health: health["initialized"] and not health["sealed"] and not health["standby"]
        )

    def root(self) -> Any:
        """A client with the root token."""
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
        end(self._process, _STOP_SECONDS)
        self._process = None

    @property
    def _keys_file(self) -> Path:
        return self._home / "operator.json"

    def _keys(self) -> dict[str, str]:
        keys: dict[str, str] = json.loads(self._keys_file.read_text())
        return keys

    def _http(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca_file)
        return session

    def _wait(self, ready: Callable[[dict[str, Any]], bool]) -> None:
        """Return when `ready` is true for its health response. Raises StartFailed."""
        if self._process is None:
            raise StartFailed("Vault is not started")
        log = self._home / "server.log"
        wait_ready(self._process, "Vault", log, lambda: self._health(ready), _READY_SECONDS)

    def _health(self, ready: Callable[[dict[str, Any]], bool]) -> bool:
        """Whether it responds with a health that is `ready`."""
        try:
            reply = self._http().get(f"{self.address}/v1/sys/health", timeout=1.0)
            return ready(reply.json())
        except (OSError, ValueError):
            return False

    def _configuration(self) -> str:
        tls, cluster = self._home / "tls", f"{self._host}:{free_port()}"
        return f"""\
storage "raft" {{
  path                   = {_quoted(self._home / "data")}
  node_id                = "local"
  performance_multiplier = 1
}}

listener "tcp" {{
  address         = "{self._host}:{self._port}"
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
    """Write a file that only its owner may read, replacing an existing one."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _quoted(path: Path) -> str:
    return json.dumps(str(path.resolve()))
