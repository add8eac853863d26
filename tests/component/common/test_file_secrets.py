"""Secret settings of the form file:PATH: read again at each call, and kept while the file is missing."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from rag_common.identity import ServiceIdentity
from rag_common.settings import SettingsInvalid

IDENTITY = ServiceIdentity(None, None, {})


async def test_a_changed_file_is_the_new_secret_and_a_missing_one_changes_nothing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    secret = await IDENTITY.secret(SecretStr(f"file:{file}"), "GATEWAY_REDIS_PASSWORD")
    assert secret() == "first"
    file.write_text("둘째")
    assert secret() == "둘째"
    file.unlink()
    assert secret() == "둘째"
    file.write_text("")
    assert secret() == "둘째"
    assert "둘째" not in repr(secret)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
async def test_a_file_without_a_secret_is_refused_at_the_start(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=r"GATEWAY_REDIS_PASSWORD: .*password is missing"):
        await IDENTITY.secret(SecretStr(f"file:{file}"), "GATEWAY_REDIS_PASSWORD")
