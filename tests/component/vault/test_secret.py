"""A secret as a live value."""

from typing import Any

import pytest

from rag_common.settings import SettingsInvalid
from rag_common.vault.client import Vault
from rag_common.vault.failures import Missing, Refused
from rag_common.vault.secret import Secret
from tests.support.waiting import until


@pytest.fixture
def path(root: Any, request: pytest.FixtureRequest) -> str:
    """A secret of the test's own, at its first version."""
    result = f"rag/gateway/{request.node.name}"
    put(root, result, "first")
    return result


def put(root: Any, path: str, password: str) -> None:
    root.secrets.kv.v2.create_or_update_secret(path, {"password": password, "port": 6379})


async def test_a_subscriber_hears_of_a_change_once_and_sees_it(
    opened: Vault, root: Any, path: str
) -> None:
    secret = await opened.secret(path)
    assert (secret.get("password"), secret.version) == ("first", 1)
    heard: list[str] = []
    secret.subscribe(lambda changed: heard.append(changed.get("password")))
    await secret.refresh()
    put(root, path, "second")
    await until(lambda: heard, "the change")
    await secret.refresh()
    assert heard == [secret.get("password")] == ["second"]


async def test_a_subscriber_that_fails_does_not_stop_the_next(
    opened: Vault, root: Any, path: str
) -> None:
    secret, heard = await opened.secret(path), []

    def fail(_changed: Secret) -> None:
        raise RuntimeError("a defect")

    secret.subscribe(fail)
    secret.subscribe(lambda changed: heard.append(changed.version))
    put(root, path, "second")
    await until(lambda: heard == [2], "the change")


async def test_a_secret_that_was_wiped_and_written_anew_is_a_change(
    opened: Vault, root: Any, path: str
) -> None:
    secret, heard = await opened.secret(path), list[str]()
    secret.subscribe(lambda changed: heard.append(changed.get("password")))
    root.secrets.kv.v2.delete_metadata_and_all_versions(path)
    put(root, path, "another first")
    await until(lambda: heard == ["another first"], "the new first version")


async def test_a_secret_that_is_deleted_stays_as_it_was_and_is_told(
    opened: Vault, root: Any, path: str
) -> None:
    secret = await opened.secret(path)
    root.secrets.kv.v2.delete_latest_version_of_secret(path)
    part = f"secret {path}"
    assert await until(lambda: opened.state.errors.get(part), "the trouble") == "Missing"
    assert secret.get("password") == "first"


async def test_a_secret_that_does_not_exist_is_named(opened: Vault) -> None:
    message = "no secret secret/rag/gateway/nothing in Vault"
    with pytest.raises(Missing, match=message) as caught:
        await opened.secret("rag/gateway/nothing")
    assert isinstance(caught.value, SettingsInvalid)


@pytest.mark.parametrize("field", ["user", "port"], ids=["missing", "a number"])
async def test_a_field_that_is_no_text_is_named(opened: Vault, path: str, field: str) -> None:
    secret = await opened.secret(path)
    with pytest.raises(Missing, match=f"no text field {field}"):
        secret.get(field)


async def test_a_secret_of_another_service_is_refused_by_its_name(opened: Vault) -> None:
    with pytest.raises(Refused, match="secret/rag/generator/example"):
        await opened.secret("rag/generator/example")
