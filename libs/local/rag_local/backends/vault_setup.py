"""Idempotent setup of Vault, as an operator would do it: engines, policies, roles, secrets."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac

POLICIES = Path(__file__).resolve().parents[4] / "deploy" / "vault" / "policies"
SERVICES = ("gateway", "embedder", "retriever", "generator", "ingestor", "edge")
OPERATOR = "operator"
TOKEN_KEY = "rag-tokens"  # noqa: S105 - a name

Secrets = Mapping[str, Mapping[str, str]]

_ROOT_MOUNT = "pki-root"
_ROOT_TTL, _ISSUER_TTL, _MAX_LEAF_TTL = "87600h", "8760h", "168h"


@dataclass(frozen=True, slots=True)
class Setup:
    """Parameters: trust domain, lifetimes of the services' logins, type of the token signing key."""

    trust_domain: str = "rag-platform"
    session: str = "1h"
    max_session: str = "24h"
    key_type: str = "ed25519"


def set_up(client: Any, setup: Setup, secrets: Secrets) -> None:
    """Create everything that does not exist yet."""
    mounts = client.sys.list_mounted_secrets_engines()["data"]
    if "secret/" not in mounts:
        client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    if "pki/" not in mounts:
        _create_authority(client)
    if "transit/" not in mounts:
        client.sys.enable_secrets_engine("transit", path="transit")
        client.secrets.transit.create_key(TOKEN_KEY, key_type=setup.key_type, exportable=False)
    if "approle/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("approle")
    for file in sorted(POLICIES.glob("*.hcl")):
        client.sys.create_or_update_policy(file.stem, file.read_text("utf-8"))
    for service in SERVICES:
        _add_service(client, service, setup)
    _add_leaf_role(client, OPERATOR, setup)
    for path, fields in secrets.items():
        _put(client, f"rag/{path}", dict(fields))


def leaf_role(service: str, trust_domain: str) -> dict[str, Any]:
    """A PKI role for the certificates of one service, which may include loopback addresses."""
    return {
        "allowed_domains": [
            service,
            f"rag-{service}",
            f"{service}.rag.svc",
            f"{service}.rag.svc.cluster.local",
        ],
        "allow_bare_domains": True,
        "allow_subdomains": False,
        "allow_wildcard_certificates": False,
        "allow_localhost": True,
        "allow_ip_sans": True,
        "allowed_ip_sans_cidr": ["127.0.0.1/32", "::1/128"],
        "allowed_uri_sans": [f"spiffe://{trust_domain}/{service}"],
        "require_cn": False,
        "key_type": "ec",
        "key_bits": 256,
        "ttl": "1h",
        "max_ttl": _MAX_LEAF_TTL,
        # An expiry date chosen by the caller could exceed max_ttl.
        "not_after_bound": "forbid",
        "not_before_bound": "forbid",
        "no_store": True,
    }


def _create_authority(client: Any) -> None:
    """Create a root CA and an intermediate issuer for leaf certificates; import the root beside it."""
    for mount, ttl in ((_ROOT_MOUNT, _ROOT_TTL), ("pki", _ISSUER_TTL)):
        client.sys.enable_secrets_engine("pki", path=mount, config={"max_lease_ttl": ttl})
    pki, form = client.secrets.pki, {"key_type": "ec", "key_bits": 256}
    pki.generate_root(
        "internal",
        "rag local root",
        extra_params={**form, "ttl": _ROOT_TTL},
        mount_point=_ROOT_MOUNT,
    )
    add_issuer(client, "rag local issuer")


def add_issuer(client: Any, name: str, root_mount: str = _ROOT_MOUNT) -> str:
    """Create an issuer in `pki`, signed by a mount's root; return its id. Only the first is the default."""
    pki, form = client.secrets.pki, {"key_type": "ec", "key_bits": 256}
    created = pki.generate_intermediate("internal", name, extra_params=form, mount_point="pki")
    signed = pki.sign_intermediate(
        created["data"]["csr"], name, extra_params={"ttl": _ISSUER_TTL}, mount_point=root_mount
    )["data"]
    bundle = "\n".join([signed["certificate"], *signed["ca_chain"]])
    mapping = pki.set_signed_intermediate(bundle, mount_point="pki")["data"]["mapping"]
    # The root's key is in another mount, so the issuer with a key is the new one.
    return str(next(issuer for issuer, key in mapping.items() if key))


def _add_service(client: Any, service: str, setup: Setup) -> None:
    _add_leaf_role(client, service, setup)
    client.auth.approle.create_or_update_approle(
        service,
        token_policies=[service],
        token_no_default_policy=True,
        token_ttl=setup.session,
        token_max_ttl=setup.max_session,
        secret_id_num_uses=0,
    )


def _add_leaf_role(client: Any, name: str, setup: Setup) -> None:
    role = leaf_role(name, setup.trust_domain)
    client.secrets.pki.create_or_update_role(name, role, mount_point="pki")


def _put(client: Any, path: str, fields: dict[str, str]) -> None:
    """Write the secret unless it is the same already, so that versions change only with the content."""
    kv = client.secrets.kv.v2
    with suppress(hvac.exceptions.InvalidPath):
        if kv.read_secret_version(path, raise_on_deleted_version=True)["data"]["data"] == fields:
            return
    kv.create_or_update_secret(path, fields)
