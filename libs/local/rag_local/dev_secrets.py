"""The Secrets of a development cluster: `python -m rag_local.dev_secrets | kubectl apply -n rag -f -`.

Certificates of a development authority, a password of Redis, the public half of the development signing
key, and a token for `helm test`, as helm/rag/values-laptop.yaml refers to them. Keys and authority are
those below RAG_HOME, so that `rag` on this machine can call the cluster. In production they come from
cert-manager, Vault or External Secrets.
"""

import argparse
import hashlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_cli.dev_tokens import Claims, load_key, sign
from rag_local import dev_keys
from rag_local.backends.vault_server import write_private
from rag_local.certificate_authority import Authority

# The components that have a certificate of their own.
COMPONENTS = ("gateway", "embedder", "retriever", "generator", "ingestor", "edge")
_TLS = ("tls.crt", "tls.key", "ca.crt")
_TOKEN_SECONDS = 86_400.0


def development_secrets(
    home: Path, release: str, namespace: str, trust_domain: str = "rag-platform"
) -> list[dict[str, Any]]:
    """The Secrets as Kubernetes objects; keys and authority are created below `home` if missing."""
    authority = Authority(home / "cluster" / "authority")
    certificates = {
        f"{release}-{component}-tls": _certificate(
            authority, (component, f"spiffe://{trust_domain}/{component}")
        )
        for component in COMPONENTS
    }
    public = ("localhost", "127.0.0.1", *edge_names(release, namespace))
    signing_key = dev_keys.ensure(home / "keys")
    contents = {
        **certificates,
        f"{release}-edge-public-tls": _certificate(authority, public),
        "rag-redis": _redis(home / "cluster" / "redis-password"),
        "rag-jwks": {"jwks.json": signing_key.with_name("jwks.json").read_text("utf-8")},
        "rag-test-token": {"token": _token(signing_key)},
    }
    return [_secret(name, namespace, data) for name, data in contents.items()]


def edge_names(release: str, namespace: str) -> tuple[str, ...]:
    """The DNS names of the edge's Service within the cluster."""
    name = f"{release}-edge"
    return (
        name,
        f"{name}.{namespace}",
        f"{name}.{namespace}.svc",
        f"{name}.{namespace}.svc.cluster.local",
    )


def _certificate(authority: Authority, names: Sequence[str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        authority.issue(Path(folder), names)
        return {name: Path(folder, name).read_text("ascii") for name in _TLS}


def _redis(file: Path) -> dict[str, str]:
    """The password, kept in the file, and the access list by which Redis knows its hash."""
    if not file.is_file():
        write_private(file, secrets.token_urlsafe(24))
    password = file.read_text("ascii")
    hashed = hashlib.sha256(password.encode()).hexdigest()
    return {"password": password, "users.acl": f"user default on #{hashed} ~* &* +@all\n"}


def _token(signing_key: Path) -> str:
    claims = Claims("smoke-test", subject="helm-test", ttl=_TOKEN_SECONDS)
    return sign(load_key(signing_key), claims, time.time())


def _secret(name: str, namespace: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": dict(data),
    }


def main() -> None:
    """Print the Secrets as a List in JSON."""
    parser = argparse.ArgumentParser(prog="python -m rag_local.dev_secrets", description=__doc__)
    parser.add_argument("--release", default="rag", help="name of the Helm release")
    parser.add_argument("--namespace", default="rag", help="its namespace")
    given = parser.parse_args()
    home = Path(os.environ.get("RAG_HOME", ".rag"))
    items = development_secrets(home, given.release, given.namespace)
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout)


if __name__ == "__main__":
    main()
