"""Logging in: by every method, and what is said where it fails."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from rag_common.settings import SettingsInvalid
from rag_common.vault.client import open_vault
from rag_common.vault.failures import Refused, SecretIdForeign, SecretIdUsed
from rag_common.vault.settings import VaultOptions
from rag_contract.errors import Unavailable
from rag_local.backends.vault import LocalVault
from tests.support.client.certificates import self_signed
from tests.support.vault.fixtures import Outage, entrance
from tests.support.vault.neighbours import Elsewhere, Kubernetes, Nonsense, Recorder, Silence


async def failure(options: VaultOptions, kind: type[Exception]) -> str:
    """The sentence with which opening ends."""
    with pytest.raises(kind) as caught:
        async with open_vault(options):
            raise AssertionError("this was not to open")
    return str(caught.value)


def service_account(name: str) -> str:
    """A token in the form that Kubernetes projects into a pod."""
    now = int(time.time())
    account = {"name": name, "uid": f"u-{name}"}
    claims = {
        "iss": "https://kubernetes.default.svc",
        "sub": f"system:serviceaccount:rag:{name}",
        "kubernetes.io": {"namespace": "rag", "serviceaccount": account},
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")


@pytest.fixture
def pod(
    local: LocalVault, root: Any, kubernetes: Kubernetes, tmp_path: Path
) -> Iterator[VaultOptions]:
    """The retriever's way in as a pod, with the service account of the same name."""
    root.sys.enable_auth_method("kubernetes")
    root.write_data(
        "auth/kubernetes/config",
        data={
            "kubernetes_host": kubernetes.address,
            "token_reviewer_jwt": service_account("vault"),
            "kubernetes_ca_cert": self_signed()[1].decode(),
            "disable_local_ca_jwt": True,
        },
    )
    root.write_data(
        "auth/kubernetes/role/retriever",
        data={
            "bound_service_account_names": "retriever",
            "bound_service_account_namespaces": "rag",
            "token_policies": "retriever",
            "token_no_default_policy": True,
            "token_ttl": "1h",
        },
    )
    token = service_account("retriever")
    kubernetes.accounts[token] = "retriever"
    (tmp_path / "jwt").write_text(token)
    yield VaultOptions(
        address=local.address,
        method="kubernetes",
        role="retriever",
        ca_file=local.ca_file,
        jwt_file=tmp_path / "jwt",
    )
    root.sys.disable_auth_method("kubernetes")


async def test_a_plain_secret_id_lets_a_service_in_where_it_is_said_to_be_plain(
    options: VaultOptions, root: Any, tmp_path: Path
) -> None:
    plain = tmp_path / "secret_id"
    plain.write_text(root.auth.approle.generate_secret_id("gateway")["data"]["secret_id"] + "\n")
    async with open_vault(replace(options, secret_id_file=plain, secret_id_wrapped=False)) as vault:
        assert (await vault.secret("rag/gateway/example")).get("number") == "1"


async def test_a_token_in_a_file_lets_a_service_in_and_is_not_given_back(
    options: VaultOptions, root: Any, tmp_path: Path
) -> None:
    token = root.auth.token.create(policies=["gateway"], ttl="5m")["auth"]["client_token"]
    (tmp_path / "token").write_text(token)
    async with open_vault(replace(options, method="token", token_file=tmp_path / "token")) as vault:
        assert (await vault.secret("rag/gateway/example")).get("number") == "1"
    assert root.auth.token.lookup(token)["data"]["ttl"] > 0


async def test_a_service_account_lets_a_pod_in(pod: VaultOptions) -> None:
    async with open_vault(pod) as vault:
        assert (await vault.secret("rag/retriever/example")).get("number") == "1"


async def test_another_service_account_is_refused_by_name_of_role_and_address(
    pod: VaultOptions, kubernetes: Kubernetes
) -> None:
    token = service_account("stranger")
    kubernetes.accounts[token] = "stranger"
    pod.jwt_file.write_text(token)
    reported = await failure(pod, Refused)
    assert all(part in reported for part in ("refuses", "retriever", pod.address, "kubernetes"))
    assert token not in reported


async def test_a_wrong_secret_id_is_refused_by_name_of_role_and_address(
    options: VaultOptions, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("d4b0f3a2-0000-4000-8000-000000000000")
    wrong = replace(options, secret_id_file=tmp_path / "wrong", secret_id_wrapped=False)
    reported = await failure(wrong, Refused)
    assert all(part in reported for part in ("refuses", "gateway", options.address, "approle"))
    assert "d4b0f3a2" not in reported


async def test_a_login_that_is_not_mounted_is_refused(options: VaultOptions) -> None:
    plain = replace(options, auth_mount="nowhere", secret_id_wrapped=False)
    assert "refuses the login" in await failure(plain, Refused)


async def test_a_wrapped_secret_id_is_good_for_one_start(options: VaultOptions) -> None:
    async with open_vault(options) as vault:
        assert vault.state.ok
    assert "already used" in await failure(options, SecretIdUsed)


async def test_a_secret_id_that_somebody_else_unwrapped_is_an_error_of_its_own(
    local: LocalVault, options: VaultOptions
) -> None:
    assert options.secret_id_file is not None
    thief = local.server.client(options.secret_id_file.read_text())
    thief.sys.unwrap()
    reported = await failure(options, SecretIdUsed)
    assert "someone else" in reported
    assert options.secret_id_file.read_text() not in reported


async def test_a_wrapping_token_made_for_another_role_is_not_unwrapped(
    local: LocalVault, options: VaultOptions
) -> None:
    others = entrance(local, "embedder").secret_id_file
    assert others is not None
    reported = await failure(replace(options, secret_id_file=others), SecretIdForeign)
    assert "auth/approle/role/embedder/secret-id" in reported
    assert local.server.client(others.read_text()).sys.unwrap()["data"]["secret_id"]


@pytest.mark.parametrize("field", ["role_id_file", "secret_id_file", "ca_file"])
async def test_a_missing_file_is_named(options: VaultOptions, field: str, tmp_path: Path) -> None:
    missing = tmp_path / "nothing"
    broken: VaultOptions = replace(options, **{field: missing})  # type: ignore[arg-type]
    assert str(missing) in await failure(broken, SettingsInvalid)


async def test_a_file_that_is_empty_is_named(options: VaultOptions, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    empty = replace(options, secret_id_file=tmp_path / "empty")
    assert "empty" in await failure(empty, SettingsInvalid)


async def test_a_token_does_not_go_in_the_clear_to_another_machine(options: VaultOptions) -> None:
    plain = replace(options, address="http://vault.example:8200")
    assert "https" in await failure(plain, SettingsInvalid)


async def test_a_vault_of_other_roots_is_not_talked_to(options: VaultOptions) -> None:
    reported = await failure(replace(options, ca_file=None), Unavailable)
    assert "certificate" in reported
    assert options.address in reported


async def test_at_the_start_a_sealed_vault_and_none_are_told_apart(
    options: VaultOptions, outage: Outage
) -> None:
    await outage.stop()
    assert f"Vault at {options.address} is not reachable" in await failure(options, Unavailable)
    await outage.seal()
    assert f"Vault at {options.address} is sealed" in await failure(options, Unavailable)


async def test_a_vault_that_does_not_answer_is_unavailable_and_blocks_nothing(
    options: VaultOptions, silence: Silence
) -> None:
    # The silent server runs on the same loop: it could not hear a request that blocks it.
    silent = replace(options, address=silence.address, timeout=0.3)
    assert "does not answer in time" in await failure(silent, Unavailable)
    assert silence.asked.is_set()


async def test_a_page_is_no_answer_of_vault(options: VaultOptions) -> None:
    async with Nonsense() as page:
        reported = await failure(replace(options, address=page.address), Unavailable)
    assert "sent an invalid response" in reported


async def test_a_redirect_is_not_followed_with_a_token(
    options: VaultOptions, recorder: Recorder
) -> None:
    async with Elsewhere(recorder.address) as elsewhere:
        await failure(replace(options, address=elsewhere.address), Unavailable)
    assert not recorder.sent


async def test_proxy_token_and_roots_of_the_environment_are_not_used(
    options: VaultOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("VAULT_TOKEN", "of somebody else")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    async with open_vault(options) as vault:
        assert vault.state.ok
