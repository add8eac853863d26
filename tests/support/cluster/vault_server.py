"""Vault on a real node: `python -m tests.support.cluster.vault_server FOLDER API_URL CA_FILE TOKEN_FILE`.

It is set up as deploy/vault/README.md says, with a login for the service accounts of the release. SIGUSR1
stops it, and SIGUSR2 starts it again; the file `ready` below FOLDER is there while it serves.
"""

import signal
import sys
from pathlib import Path
from typing import Any

from rag_local.backends.vault import SERVICES, LocalVault, vault
from tests.support.cluster.region import NODE

PORT = 8200


def main() -> None:
    """Serve until SIGTERM."""
    folder, kubernetes, ca_file, token_file = Path(sys.argv[1]), *sys.argv[2:]
    signals = {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    password = {"password": (folder / "redis-password").read_text("ascii")}
    with vault(folder, {"gateway/redis": password}, host=NODE, port=PORT) as server:
        _log_in_by_kubernetes(server.root(), kubernetes, Path(ca_file), Path(token_file))
        _follow_signals(server, folder / "ready", signals)


def _log_in_by_kubernetes(root: Any, address: str, ca_file: Path, token_file: Path) -> None:
    root.sys.enable_auth_method("kubernetes")
    root.write_data(
        "auth/kubernetes/config",
        data={
            "kubernetes_host": address,
            "kubernetes_ca_cert": ca_file.read_text("ascii"),
            "token_reviewer_jwt": token_file.read_text("ascii"),
            "disable_local_ca_jwt": True,
        },
    )
    for service in SERVICES:
        role = {
            "bound_service_account_names": f"rag-{service}",
            "bound_service_account_namespaces": "rag",
            "audience": "vault",
            "token_policies": service,
            "token_no_default_policy": True,
            "token_ttl": "1h",
            "token_max_ttl": "24h",
        }
        root.write_data(f"auth/kubernetes/role/{service}", data=role)


def _follow_signals(vault: LocalVault, ready: Path, signals: set[signal.Signals]) -> None:
    ready.touch()
    while (received := signal.sigwait(signals)) != signal.SIGTERM:
        if received == signal.SIGUSR1:
            ready.unlink(missing_ok=True)
            vault.server.stop()
        else:
            vault.server.start()
            vault.server.unseal()
            ready.touch()


if __name__ == "__main__":
    main()
