"""A part that a test needs is never missed in silence."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.parts import require, server, tool

VARIABLE = "ABSENT_SERVER"
ASKING: dict[str, Callable[[], object]] = {
    "a module": lambda: require("absent_module", "pip install absent"),
    "a tool": lambda: tool("absent-tool", "pip install absent"),
    "a server": lambda: server(VARIABLE, "absent"),
}


@pytest.mark.parametrize(
    ("ci", "error", "message"),
    [
        ("true", pytest.fail.Exception, "is missing"),
        ("", pytest.skip.Exception, f"is missing: (pip install|set {VARIABLE})"),
    ],
)
@pytest.mark.parametrize("part", ASKING)
def test_a_missing_part_fails_in_ci_and_skips_elsewhere_with_what_to_do(
    part: str, ci: str, error: type[BaseException], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(error, match=message):
        ASKING[part]()


def test_a_server_is_the_program_that_its_variable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    assert server(VARIABLE, "absent") == str(Path(sys.executable).absolute())


@pytest.mark.parametrize("given", ["/nowhere/at-all", "/etc/passwd", "."])
def test_a_variable_that_names_no_program_fails_everywhere(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(pytest.fail.Exception, match="is no program"):
        server(VARIABLE, "absent")
