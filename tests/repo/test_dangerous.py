"""No code of ours does what is dangerous for a platform like this, but for the places that are named here."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for top in ("libs", "services", "scripts")
    for path in (ROOT / top).rglob("*.py")
    if not path.is_relative_to(ROOT / "libs" / "protos")
)
SQL = ("select ", "insert ", "update ", "delete ", "replace ", "drop ", "alter ", "create ")
PLAIN = ("insecure_channel", "add_insecure_port")


def called(node: ast.AST) -> str:
    """The dotted name of what is called; empty for what is no call."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def passed(node: ast.AST, name: str) -> str:
    """The value of a call's keyword, as it is written."""
    keywords = node.keywords if isinstance(node, ast.Call) else []
    return next((ast.unparse(one.value) for one in keywords if one.arg == name), "")


def built_sql(node: ast.AST) -> bool:
    """A text of SQL with a value put into it, by an f-string, +, % or format."""
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *rest]):
            return bool(rest) and start.lstrip().lower().startswith(SQL)
        case ast.BinOp(left=ast.Constant(value=str(start)), op=ast.Add() | ast.Mod()):
            return start.lstrip().lower().startswith(SQL)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(start)), attr="format")):
            return start.lstrip().lower().startswith(SQL)
        case ast.Call(func=ast.Attribute(attr="execute" | "executemany"), args=[first, *_]):
            return isinstance(first, ast.JoinedStr | ast.BinOp)
    return False


RULES: dict[str, Callable[[ast.AST], bool]] = {
    "SQL that is put together": built_sql,
    "YAML that makes objects": lambda node: called(node) in ("yaml.load", "yaml.unsafe_load"),
    "pickle": lambda node: (
        isinstance(node, ast.Import | ast.ImportFrom)
        and any(
            name.split(".")[0] in ("pickle", "cPickle", "dill", "shelve", "marshal")
            for name in [getattr(node, "module", "") or "", *(one.name for one in node.names)]
        )
    ),
    "TLS that checks nothing": lambda node: (
        passed(node, "verify") == "False"
        or passed(node, "check_hostname") == "False"
        or called(node).endswith("_create_unverified_context")
        or (isinstance(node, ast.Attribute) and node.attr == "CERT_NONE")
        or (isinstance(node, ast.Assign) and ast.unparse(node).endswith(".check_hostname = False"))
    ),
    "a channel or a port without TLS": lambda node: called(node).endswith(PLAIN),
    "a shell": lambda node: (
        passed(node, "shell") not in ("", "False")
        or called(node) in ("os.system", "os.popen", "asyncio.create_subprocess_shell")
    ),
    "text that is run": lambda node: called(node) in ("eval", "exec", "__import__"),
    "a file name that somebody can take first": lambda node: called(node).endswith(
        "tempfile.mktemp"
    ),
    "a token that is not checked": lambda node: (
        "verify_signature': False" in passed(node, "options")
    ),
}
# Where it is meant, and why.
MEANT = {
    "a channel or a port without TLS": {
        "libs/common/rag_common/rpc/channels.py": "TLS is a setting",
        "libs/common/rag_common/rpc/listening.py": "TLS is a setting",
        "libs/client/rag_client/channel.py": "TLS is an option",
        "libs/local/rag_local/processes.py": "health, within one machine",
        "libs/local/rag_local/traces/receiving.py": "spans, within one machine",
    },
    "a token that is not checked": {
        "services/gateway/rag_gateway/adapters/tokens.py": "whose keys to check it with is in it",
    },
}


def found(rule: str, source: str) -> Iterator[int]:
    """Lines of a source that are against a rule."""
    for node in ast.walk(ast.parse(source)):
        if RULES[rule](node):
            yield getattr(node, "lineno", 0)


def places(rule: str) -> dict[str, list[int]]:
    """Files that are against a rule, and the lines."""
    looked = {
        str(path.relative_to(ROOT)): list(found(rule, path.read_text("utf-8"))) for path in SOURCES
    }
    return {name: lines for name, lines in looked.items() if lines}


@pytest.mark.parametrize("rule", RULES)
def test_nothing_dangerous_is_done_where_it_is_not_meant(rule: str) -> None:
    meant = MEANT.get(rule, {})
    assert {name: lines for name, lines in places(rule).items() if name not in meant} == {}


@pytest.mark.parametrize("rule", MEANT)
def test_what_is_meant_is_still_done(rule: str) -> None:
    assert MEANT[rule].keys() <= places(rule).keys()


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("SQL that is put together", 'db.execute(f"{verb} FROM keys")'),
        ("SQL that is put together", "query = f\"SELECT * FROM keys WHERE id = '{key}'\""),
        ("SQL that is put together", "query = 'DELETE FROM keys WHERE id = ' + key"),
        ("SQL that is put together", "query = 'update keys set id = %s' % key"),
        ("SQL that is put together", "query = 'insert into {}'.format(table)"),
        ("YAML that makes objects", "yaml.load(text)"),
        ("pickle", "import pickle"),
        ("pickle", "from pickle import loads"),
        ("TLS that checks nothing", "httpx.get(url, verify=False)"),
        ("TLS that checks nothing", "ssl._create_unverified_context()"),
        ("TLS that checks nothing", "context.verify_mode = ssl.CERT_NONE"),
        ("TLS that checks nothing", "context.check_hostname = False"),
        ("a channel or a port without TLS", "grpc.aio.insecure_channel(target)"),
        ("a channel or a port without TLS", "server.add_insecure_port(address)"),
        ("a shell", "subprocess.run(line, shell=True)"),
        ("a shell", "os.system(line)"),
        ("text that is run", "eval(text)"),
        ("text that is run", "exec(text)"),
        ("a file name that somebody can take first", "tempfile.mktemp()"),
        ("a token that is not checked", "jwt.decode(t, options={'verify_signature': False})"),
    ],
)
def test_each_rule_sees_what_it_is_for(rule: str, source: str) -> None:
    assert set(found(rule, source)) == {1}


@pytest.mark.parametrize(
    "source",
    [
        'db.execute("SELECT * FROM keys WHERE id = ?", (key,))',
        "model.eval()",
        "yaml.safe_load(text)",
        "httpx.get(url, verify=context)",
        "subprocess.run(words)",
        "words = 'updates ' + name",
    ],
)
def test_what_is_well_is_let_through(source: str) -> None:
    assert not [rule for rule in RULES if list(found(rule, source))]


def test_there_is_code_to_look_at() -> None:
    assert len(SOURCES) > 100
