"""Services say things in log lines only, and each line is a constant event with data as keys."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVING = sorted([*ROOT.glob("services/*/rag_*/**/*.py"), *ROOT.glob("libs/common/**/*.py")])


def calls(path: Path) -> set[str]:
    """Names of what a module calls, dotted where they are."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


def test_there_are_modules_to_look_at() -> None:
    assert len(SERVING) > 50


@pytest.mark.parametrize("path", SERVING, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_service_prints(path: Path) -> None:
    assert not calls(path) & {"print", "pprint", "sys.stdout.write"}


@pytest.mark.parametrize("path", SERVING, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_event_is_made_of_data(path: Path) -> None:
    logged = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log.")
    ]
    assert all(isinstance(node.args[0], ast.Constant) for node in logged)
