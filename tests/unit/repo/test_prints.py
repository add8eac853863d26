"""Services say things in log lines only, and each line is a constant event with data as keys."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVING = sorted([*ROOT.glob("services/*/rag_*/**/*.py"), *ROOT.glob("libs/common/**/*.py")])
OF_INTEREST = re.compile(r"\b(p?print|stdout\.write|log\.\w+|periodic|repeat)\(")
PRINTING = {"print", "pprint", "sys.stdout.write"}

Calls = dict[Path, list[tuple[str, ast.Call]]]


@pytest.fixture(scope="module")
def calls() -> Calls:
    """What each module calls: the name, such as `log.info`, and the call."""
    sources = {path: path.read_text("utf-8") for path in SERVING}
    return {
        path: [
            (_name(node.func), node)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call)
        ]
        for path, source in sources.items()
        if OF_INTEREST.search(source)
    }


def test_no_service_prints(calls: Calls) -> None:
    assert len(SERVING) > 50
    assert not [path for path, called in calls.items() if PRINTING & {name for name, _ in called}]


def test_no_event_is_made_of_data(calls: Calls) -> None:
    """Neither that of a log line nor that which a periodic task is given."""
    events = [
        (path, event)
        for path, called in calls.items()
        for name, call in called
        for event in _events(name, call)
    ]
    assert len(events) > 50
    assert [f"{path}:{event.lineno}" for path, event in events if not _constant(event, path)] == []


def _name(called: ast.expr) -> str:
    match called:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name):
            return f"{_name(owner)}.{name}"
    return ""


def _events(name: str, call: ast.Call) -> list[ast.expr]:
    if name.startswith("log."):
        return [call.args[0]]
    if name in ("periodic", "repeat"):
        return [keyword.value for keyword in call.keywords if keyword.arg == "event"]
    return []


def _constant(event: ast.expr, path: Path) -> bool:
    """A literal; in aio.py also its parameter `event`, for which callers pass one."""
    passed_on = path.name == "aio.py" and isinstance(event, ast.Name) and event.id == "event"
    return isinstance(event, ast.Constant) or passed_on
