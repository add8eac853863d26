"""No code of ours does what is dangerous for a platform like this, except in the places that are named here."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for top in ("libs", "services", "tools")
    for path in sorted((ROOT / top).rglob("*.py"))
    if not path.is_relative_to(ROOT / "libs" / "protos")
}
# What bandit does not see; what it sees is in test_security.py.
RULES = {
    "SQL that is put together": r"""\.execute(many)?\(\s*(f["']|(["'][^"']*["']|\w+)\s*[%+])""",
    "TLS that checks nothing": r"verify=False|check_hostname\s*=\s*False|CERT_NONE",
    "a channel or a port without TLS": r"insecure_channel\(|add_insecure_port\(",
    "text that is run": r"create_subprocess_shell\(|__import__\(",
    "a token that is not checked": r"""verify_signature["']: False|extract_compact\(""",
}
# Where it is meant, and why.
MEANT = {
    "a channel or a port without TLS": {
        "libs/common/rag_common/grpc/channel.py": "TLS is a setting",
        "libs/common/rag_common/grpc/ports.py": "TLS is a setting",
        "libs/client/rag_client/transport/channel.py": "TLS is an option",
        "services/retriever/rag_retriever/engines/server/client.py": "the URL of Qdrant says so",
        "libs/local/rag_local/service_processes.py": "health, within one machine",
        "libs/local/rag_local/trace_store/receiver.py": "spans, within one machine",
        "libs/common/rag_common/observability/otlp/span_exporter.py": "the scheme of the endpoint decides",
        "tools/bench/bare_hops.py": "empty handlers to measure, within one machine",
    },
    "TLS that checks nothing": {
        "libs/cli/rag_cli/diagnosis/network.py": "shows a certificate, and sends nothing",
    },
    "a token that is not checked": {
        "libs/common/rag_common/jose.py": "whose keys to check it with is in it",
    },
}


@pytest.mark.parametrize("rule", RULES)
def test_nothing_dangerous_is_done_except_where_it_is_meant(rule: str) -> None:
    assert len(SOURCES) > 100
    files = {name for name, source in SOURCES.items() if re.search(RULES[rule], source)}
    assert files == set(MEANT.get(rule, {}))


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("SQL that is put together", 'db.execute(f"{verb} FROM keys")'),
        ("SQL that is put together", 'db.execute(\n    f"""\n SELECT {key}'),
        ("SQL that is put together", "db.executemany('update keys set id = %s' % key, rows)"),
        ("SQL that is put together", "db.execute(query + key)"),
        ("TLS that checks nothing", "connect(url, verify=False)"),
        ("TLS that checks nothing", "context.verify_mode = ssl.CERT_NONE"),
        ("TLS that checks nothing", "context.check_hostname = False"),
        ("a channel or a port without TLS", "grpc.aio.insecure_channel(target)"),
        ("a channel or a port without TLS", "server.add_insecure_port(address)"),
        ("text that is run", "asyncio.create_subprocess_shell(line)"),
        ("text that is run", "__import__(name)"),
        ("a token that is not checked", "jwt.decode(t, options={'verify_signature': False})"),
        ("a token that is not checked", "jws.extract_compact(t)"),
    ],
)
def test_each_rule_sees_what_it_is_for(rule: str, source: str) -> None:
    assert re.search(RULES[rule], source)


def test_safe_code_is_accepted() -> None:
    source = 'db.execute("SELECT * FROM keys WHERE id = ?", (key,)); httpx.get(url, verify=context)'
    assert not [rule for rule, pattern in RULES.items() if re.search(pattern, source)]
