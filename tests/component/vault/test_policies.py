"""The policies in the repository: each principal may do its own, and nothing of another's."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import hvac
import pytest

from rag_common.vault.certificates import CertificateNames, signing_request
from rag_local.backends.vault import LocalVault
from rag_local.backends.vault_setup import POLICIES, SERVICES

PRINCIPALS = (*SERVICES, "operator")
WITH_SECRETS = ("gateway", "retriever", "generator")
SIGNERS = ("gateway", "operator")
SELF = ("lookup-self", "renew-self")


@dataclass(frozen=True)
class Attempt:
    """A request: what may be meant, how it is asked, and with what."""

    method: str
    path: str
    body: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        extra = ",".join(name for name, _ in self.body if name not in ("csr", "input", "data"))
        return f"{self.method} {self.path} {extra}".strip()

    def make(self, client: Any) -> None:
        """Ask. Raises what hvac does."""
        body = dict(self.body)
        client.adapter.request(self.method, f"/v1/{self.path}", json=body or None)


def csr(service: str) -> str:
    return signing_request(CertificateNames.of(service, "rag-platform", (service,)))[1]


def read(service: str) -> Attempt:
    return Attempt("get", f"secret/data/rag/{service}/example")


def leaf(service: str, **more: str) -> Attempt:
    return Attempt("post", f"pki/sign/{service}", (("csr", csr(service)), *more.items()))


SIGN = Attempt("post", "transit/sign/rag-tokens", (("input", "eA=="),))
KEYS = Attempt("get", "transit/keys/rag-tokens")
OWN = [Attempt("get", "auth/token/lookup-self"), Attempt("post", "auth/token/renew-self")]

# What nobody but an administrator may do.
NOBODY = [
    Attempt("list", "secret/metadata/rag"),
    Attempt("get", "secret/data/other/example"),
    *(Attempt("list", f"secret/metadata/rag/{service}") for service in WITH_SECRETS),
    *(
        Attempt(method, f"secret/{kind}/rag/{service}/example", body)
        for service in WITH_SECRETS
        for method, kind, body in (
            ("post", "data", (("data", {"password": "x"}),)),
            ("delete", "data", ()),
            ("delete", "metadata", ()),
            ("get", "metadata", ()),
        )
    ),
    *(
        Attempt("post", f"pki/{verb}/{service}", (("common_name", service),))
        for service in SERVICES
        for verb in ("issue", "roles")
    ),
    *(leaf(service, not_after="2099-01-01T00:00:00Z") for service in SERVICES),
    Attempt("post", "pki/sign-verbatim", (("csr", csr("gateway")),)),
    Attempt("post", "pki/root/generate/internal", (("common_name", "x"),)),
    Attempt("post", "pki-root/root/sign-intermediate", (("csr", csr("gateway")),)),
    Attempt("post", "transit/keys/rag-tokens/rotate"),
    Attempt("post", "transit/keys/rag-tokens/config", (("deletion_allowed", True),)),
    Attempt("delete", "transit/keys/rag-tokens"),
    Attempt("get", "transit/export/signing-key/rag-tokens"),
    Attempt("get", "transit/backup/rag-tokens"),
    Attempt("post", "transit/keys/mine"),
    Attempt("post", "transit/sign/mine", (("input", "eA=="),)),
    Attempt("post", "auth/token/create"),
    Attempt("list", "auth/token/accessors"),
    Attempt("post", "auth/approle/role/gateway/secret-id"),
    Attempt("get", "auth/approle/role/gateway/role-id"),
    Attempt("get", "sys/policies/acl/gateway"),
    Attempt("post", "sys/policies/acl/gateway", (("policy", 'path "*" {}'),)),
    Attempt("get", "sys/mounts"),
    Attempt("get", "sys/audit"),
    Attempt("post", "sys/seal"),
    Attempt("get", "cubbyhole/x"),
]

ALLOWED = [
    *((service, read(service)) for service in WITH_SECRETS),
    *((service, leaf(service)) for service in SERVICES),
    *((signer, attempt) for signer in SIGNERS for attempt in (SIGN, KEYS)),
    *((principal, attempt) for principal in PRINCIPALS for attempt in OWN),
]

FORBIDDEN = [
    *((p, read(s)) for p in PRINCIPALS for s in WITH_SECRETS if p != s),
    *((p, leaf(s)) for p in PRINCIPALS for s in SERVICES if p != s),
    *((p, attempt) for p in PRINCIPALS if p not in SIGNERS for attempt in (SIGN, KEYS)),
    *((principal, attempt) for principal in PRINCIPALS for attempt in NOBODY),
]


@pytest.fixture(scope="module")
def clients(local: LocalVault, root: Any) -> dict[str, Any]:
    """A client for each principal, with its policy and no other."""
    created = {
        name: root.auth.token.create(policies=[name], no_default_policy=True, ttl="10m")
        for name in PRINCIPALS
    }
    return {
        name: local.server.client(reply["auth"]["client_token"]) for name, reply in created.items()
    }


def test_there_is_a_policy_for_each_principal_and_no_other() -> None:
    assert {file.stem for file in POLICIES.glob("*.hcl")} == set(PRINCIPALS)


@pytest.mark.parametrize(("principal", "attempt"), ALLOWED, ids=str)
def test_a_principal_may_do_its_own_work(
    clients: dict[str, Any], principal: str, attempt: Attempt
) -> None:
    attempt.make(clients[principal])


@pytest.mark.parametrize(("principal", "attempt"), FORBIDDEN, ids=str)
def test_a_principal_may_do_nothing_else(
    clients: dict[str, Any], principal: str, attempt: Attempt
) -> None:
    with pytest.raises(hvac.exceptions.Forbidden):
        attempt.make(clients[principal])


@pytest.mark.parametrize("service", SERVICES)
def test_a_leaf_cannot_outlive_its_role_by_a_date_of_ones_own(root: Any, service: str) -> None:
    with pytest.raises(hvac.exceptions.InvalidRequest):
        leaf(
            service, not_after=f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
        ).make(root)


@pytest.mark.parametrize("service", SERVICES)
def test_a_login_has_its_service_policy_alone(local: LocalVault, root: Any, service: str) -> None:
    approle = root.auth.approle
    secret_id = approle.generate_secret_id(service)["data"]["secret_id"]
    role_id = approle.read_role_id(service)["data"]["role_id"]
    reply = local.server.client("").auth.approle.login(role_id, secret_id, use_token=False)
    assert reply["auth"]["policies"] == [service]


def test_the_operators_token_has_its_policy_alone(local: LocalVault) -> None:
    client = local.server.client(local.operator_token().read_text())
    assert client.auth.token.lookup_self()["data"]["policies"] == ["operator"]
