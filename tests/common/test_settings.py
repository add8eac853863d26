"""Reading the settings of a service."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from rag_common.settings import ServiceSettings, SettingsInvalid, folder


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


def test_without_variables_the_defaults_hold() -> None:
    assert (Settings.load().shelves, Settings.load().host) == (3, "127.0.0.1")


def test_a_variable_is_read_in_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SHELVES", "7")
    monkeypatch.setenv("SHOP_REFLECTION", "false")
    assert (Settings.load().shelves, Settings.load().reflection) == (7, False)


def test_what_is_given_counts_more_than_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SHELVES", "7")
    assert Settings.load(shelves=2).shelves == 2


def test_variables_of_others_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPPING_SHELVES", "x")
    monkeypatch.setenv("GATEWAY_SHELVES", "x")
    assert Settings.load().shelves == 3


def test_an_unknown_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert refusal().startswith(f"SHOP_{name} is unfit: ")
    assert "\n" not in refusal()


def test_a_rule_about_several_settings_names_them_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_ENGINE", "server")
    assert refusal() == "the server engine needs SHOP_URL"


def test_a_secret_is_not_in_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", "hunter2")
    monkeypatch.setenv("SHOP_SHELVES", "hunter2")
    assert "hunter2" not in refusal()


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", "hunter2")
    assert "hunter2" not in repr(Settings.load())
    assert Settings.load().secret.get_secret_value() == "hunter2"


def test_the_named_file_is_read(file: Path) -> None:
    file.write_text("# the shop\nSHOP_SHELVES=5\nSHOP_URL='http://shop'\nGATEWAY_PORT=1\n")
    assert (Settings.load().shelves, Settings.load().url) == (5, "http://shop")


def test_the_environment_counts_more_than_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("SHOP_SHELVES=5\n")
    monkeypatch.setenv("SHOP_SHELVES", "6")
    assert Settings.load().shelves == 6


def test_an_unknown_variable_in_the_file_is_refused_too(file: Path) -> None:
    file.write_text("SHOP_SHELFS=5\n")
    assert refusal() == "SHOP_SHELFS is not a setting; see docs/settings.md"


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    assert refusal() == f"RAG_ENV_FILE {file} is not a file"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().shelves = 4  # type: ignore[misc]


def test_data_lies_below_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", "/data")
    assert folder("index") == Path("/data/index")
    monkeypatch.delenv("RAG_HOME")
    assert folder("index") == Path(".rag/index")
