"""Reading the settings of a service."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from rag_common.settings import ServiceSettings, SettingsInvalid, data_folder


class Settings(ServiceSettings):
    """A service with some of everything."""

    model_config = SettingsConfigDict(env_prefix="SHOP_")

    engine: Literal["edge", "server"] = "edge"
    url: str = ""
    secret: SecretStr = SecretStr("")
    shelves: int = Field(3, ge=1, le=9)

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.engine == "server" and not self.url:
            raise ValueError("the server engine needs SHOP_URL")
        return self


def refusal() -> str:
    with pytest.raises(SettingsInvalid) as caught:
        Settings.load()
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "shop.env"
    monkeypatch.setenv("RAG_ENV_FILE", str(path))
    return path


def test_an_override_counts_more_than_a_variable_the_file_and_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("# the shop\nSHOP_SHELVES=5\nSHOP_URL='http://shop'\nGATEWAY_PORT=1\n")
    settings = Settings.load()
    assert (settings.shelves, settings.url, settings.host) == (5, "http://shop", "127.0.0.1")
    monkeypatch.setenv("SHOP_SHELVES", "6")
    assert Settings.load().shelves == 6
    assert Settings.load(shelves=2).shelves == 2


def test_variables_of_others_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPPING_SHELVES", "x")
    monkeypatch.setenv("GATEWAY_SHELVES", "x")
    assert Settings.load().shelves == 3


@pytest.mark.parametrize("in_file", [False, True])
def test_an_unknown_variable_is_refused_by_name(
    file: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool
) -> None:
    file.write_text("SHOP_SHELFS=5\n" if in_file else "")
    if not in_file:
        monkeypatch.setenv("SHOP_SHELFS", "7")
    assert refusal() == "SHOP_SHELFS is not a setting; see docs/settings.md"


@pytest.mark.parametrize(
    ("name", "value"),
    [("SHELVES", "many"), ("SHELVES", "10"), ("ENGINE", "steam"), ("PORT", ""), ("GRACE", "0")],
)
def test_an_unfit_value_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SHOP_{name}", value)
    assert refusal().startswith(f"SHOP_{name} is invalid: ")
    assert "\n" not in refusal()


def test_a_rule_about_several_settings_names_them_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_ENGINE", "server")
    assert refusal() == "the server engine needs SHOP_URL"


def test_a_secret_is_not_in_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", "hunter2")
    monkeypatch.setenv("SHOP_SHELVES", "hunter2")
    assert "hunter2" not in refusal()


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    assert refusal() == f"RAG_ENV_FILE {file} is not a file"


def test_data_lies_below_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", "/data")
    assert data_folder("index") == Path("/data/index")
    monkeypatch.delenv("RAG_HOME")
    assert data_folder("index") == Path(".rag/index")
