"""The audit log: what is put on record, what never is, and how much of it at most."""

import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_common.context import CALL, Call, Principal
from rag_contract import errors
from rag_gateway.auth import log_sampling
from rag_gateway.auth.audit import Audit, AuditLogFile, Event
from rag_gateway.auth.authenticator import Authenticator
from rag_gateway.auth.policy import AccessPolicy
from tests.support.clock import Clock
from tests.support.rpc import Lines, logged
from tests.support.waiting import until

SEARCH = "/rag.gateway.v1.AnswerService/Search"
DELETE = "/rag.gateway.v1.DocumentService/DeleteDocument"
KIM = Principal("kim", "acme", frozenset({"search"}), credential="t-1")
SECRET = "eyJhbGciOiJFZERTQSJ9.secret.secret"


class Door:
    """Knows one token, and refuses others with a sentence that must not get out."""

    async def principal(self, text: str) -> Principal:
        if text == "good":
            return KIM
        if text == "unknown yet":
            raise errors.DependencyDown("down")
        raise errors.TokenInvalid(f"the token {text} is wrong")


@pytest.fixture
def lines() -> Iterator[Lines]:
    with logged() as result:
        yield result


@pytest.fixture
def call() -> Iterator[Call]:
    created = Call("r-1", "0af7651916cd43dd8448eb211c80319c", 1e9, principal=KIM)
    token = CALL.set(created)
    yield created
    CALL.reset(token)


def authenticator(audit: Audit, header: str = "") -> Authenticator:
    policy = AccessPolicy({SEARCH: "search", DELETE: "ingest"}, {})
    return Authenticator(Door(), Door(), policy, audit, address_header=header)


async def refused(authenticate: Authenticator, method: str, token: str, **metadata: str) -> None:
    with pytest.raises(errors.AppError):
        await authenticate(method, {"authorization": f"Bearer {token}", **metadata})


async def test_a_refused_caller_is_on_record_by_name_if_it_is_known(lines: Lines) -> None:
    await refused(authenticator(Audit()), SEARCH, SECRET)
    [line] = lines.of("authentication_refused")
    assert (line["logger"], line["outcome"]) == ("audit", "refused")
    assert (line["reason"], line["method"]) == ("TOKEN_INVALID", SEARCH)
    assert "secret" not in lines.getvalue()
    await refused(authenticator(Audit()), DELETE, "good")
    [line] = lines.of("authorisation_refused")
    assert (line["subject"], line["tenant"], line["credential"]) == ("kim", "acme", "t-1")
    assert (line["reason"], line["method"]) == ("SCOPE_MISSING", DELETE)


async def test_neither_a_caller_that_is_let_in_nor_a_store_that_is_down_is_on_record(
    lines: Lines,
) -> None:
    await authenticator(Audit())(SEARCH, {"authorization": "Bearer good"})
    await refused(authenticator(Audit()), SEARCH, "unknown yet")
    assert lines.getvalue() == ""


async def test_the_address_comes_from_the_proxy_s_header_of_the_same_call_alone(
    lines: Lines,
) -> None:
    inputs = {"x-envoy-external-address": "192.0.2.7", "x-forwarded-for": "203.0.113.9"}
    behind_proxy = authenticator(Audit(), "X-Envoy-External-Address")
    await refused(behind_proxy, SEARCH, SECRET, **inputs)
    await refused(behind_proxy, SEARCH, SECRET)
    await refused(authenticator(Audit()), SEARCH, SECRET, **inputs)
    with_header, *without = lines.of("authentication_refused")
    assert with_header["address"] == "192.0.2.7"
    assert [line for line in without if "address" in line] == []


async def test_a_deed_is_on_record_with_who_what_and_where(lines: Lines, call: Call) -> None:
    with Audit().audited(Event.KEY_CREATED, SEARCH) as deed:
        deed.target = "key-1"
    [line] = lines.of("api_key_created")
    assert (line["outcome"], line["target"], line["subject"]) == ("done", "key-1", "kim")
    assert (line["request_id"], line["trace_id"]) == ("r-1", call.trace_id)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (errors.DocumentNotFound("x"), "refused", "DOCUMENT_NOT_FOUND"),
        (errors.FieldInvalid("x"), "refused", "FIELD_INVALID"),
        (errors.CollectionForbidden("x"), "refused", "COLLECTION_FORBIDDEN"),
        (errors.DependencyDown("x"), "failed", "DEPENDENCY_DOWN"),
        (RuntimeError("secret"), "failed", "INTERNAL"),
    ],
)
async def test_a_deed_that_was_not_done_says_why(
    lines: Lines, call: Call, error: Exception, outcome: str, reason: str
) -> None:
    with pytest.raises(type(error)), Audit().audited(Event.KEY_REVOKED, SEARCH, "key-1"):
        raise error
    [line] = lines.of("api_key_revoked")
    assert (line["outcome"], line["reason"]) == (outcome, reason)
    assert "secret" not in lines.getvalue()


async def test_a_log_s_level_leaves_nothing_out_of_the_audit() -> None:
    with logged(level="error") as lines:
        await refused(authenticator(Audit()), SEARCH, SECRET)
        assert lines.of("authentication_refused")


async def test_a_flood_of_refusals_is_written_as_a_few_and_a_number(lines: Lines) -> None:
    clock = Clock(0.0)
    audit = Audit(per_second=5, clock=clock)
    for _ in range(100):
        await refused(authenticator(audit), SEARCH, SECRET)
    assert len(lines.of("authentication_refused")) == 5
    clock.now += 1
    await refused(authenticator(audit), SEARCH, SECRET)
    assert len(lines.of("authentication_refused")) == 6
    [reported] = lines.of("refusals_suppressed")
    assert (reported["count"], reported["reason"]) == (95, "TOKEN_INVALID")


@pytest.mark.parametrize("closed", [False, True])
async def test_the_number_is_written_though_nobody_comes_after(lines: Lines, closed: bool) -> None:
    audit = Audit()
    for _ in range(7):
        await refused(authenticator(audit), SEARCH, SECRET)
    if closed:
        audit.close()
    else:
        await until(lambda: lines.of("refusals_suppressed"), "the number is written")
    [line] = lines.of("refusals_suppressed")
    assert line["count"] == 2


async def test_one_noisy_caller_does_not_hide_the_others(lines: Lines) -> None:
    audit = Audit()
    door = authenticator(audit, "x-address")
    for _ in range(50):
        await refused(door, SEARCH, SECRET, **{"x-address": "192.0.2.1"})
    await refused(door, SEARCH, SECRET, **{"x-address": "192.0.2.2"})
    await refused(door, DELETE, "good", **{"x-address": "192.0.2.1"})
    addresses = [line["address"] for line in lines.of("authentication_refused")]
    assert addresses.count("192.0.2.2") == 1
    assert len(lines.of("authorisation_refused")) == 1


async def test_callers_from_everywhere_do_not_fill_the_memory(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_sampling, "_MAX_KEYS", 3)
    audit = Audit()
    for number in range(5):
        await refused(
            authenticator(audit, "x-address"), SEARCH, SECRET, **{"x-address": str(number)}
        )
    assert len(audit._sampler._windows) == 3


async def test_a_file_of_its_own_holds_the_same_and_is_its_owner_s_alone(
    tmp_path: Path, lines: Lines, call: Call
) -> None:
    path = tmp_path / "audit.log"
    path.write_text('{"event": "before"}\n')
    with (
        AuditLogFile(path) as journal,
        Audit(journal.write).audited(Event.KEY_REVOKED, SEARCH, "한글"),
    ):
        pass
    assert path.stat().st_mode & 0o777 == 0o600
    before, after = map(json.loads, path.read_text("utf-8").splitlines())
    assert before["event"] == "before"
    [line] = lines.of("api_key_revoked")
    shared = {"event", "outcome", "method", "target", "subject", "tenant", "trace_id"}
    assert {name: after[name] for name in shared} == {name: line[name] for name in shared}
    assert after["timestamp"].endswith("+00:00")


async def test_a_line_break_in_a_target_does_not_make_a_line(tmp_path: Path, lines: Lines) -> None:
    path = tmp_path / "audit.log"
    target = 'x\n{"event": "forged"}' + "y" * 1000
    with (
        AuditLogFile(path) as journal,
        Audit(journal.write).audited(Event.KEY_REVOKED, SEARCH, target),
    ):
        pass
    [line] = path.read_text("utf-8").splitlines()
    assert len(json.loads(line)["target"]) == 640


async def test_a_file_that_cannot_be_written_stops_no_call(tmp_path: Path, lines: Lines) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with AuditLogFile(tmp_path / "audit.log") as journal:
        audit = Audit(journal.write)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
        try:
            for _ in range(2):
                with audit.audited(Event.KEY_REVOKED, SEARCH, "key-1"):
                    pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, before)
    assert len(lines.of("api_key_revoked")) == 2
    assert len(lines.of("audit_file_unwritable")) == 1


@pytest.mark.parametrize("kind", ["folder", "link", "device"])
def test_only_a_plain_file_is_written_to(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "audit.log"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path = Path("/dev/null")
    with pytest.raises(OSError, match=r"audit\.log|/dev/null"), AuditLogFile(path):
        pass
