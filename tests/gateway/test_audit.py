"""The audit log: what is put on record, what never is, and how much of it at most."""

import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_common import errors
from rag_common.context import CALL, Call, Principal, Trace
from rag_gateway.adapters.bearer import Authenticator
from rag_gateway.adapters.journal import Journal
from rag_gateway.audit import ADDRESS, Audit, Event
from rag_gateway.policy import Policy
from tests.rpc import Lines, logged
from tests.waiting import until

SEARCH = "/rag.gateway.v1.AnswerService/Search"
DELETE = "/rag.gateway.v1.DocumentService/DeleteDocument"
KIM = Principal("kim", "acme", frozenset({"search"}), credential="t-1")
SECRET = "eyJhbGciOiJFZERTQSJ9.secret.secret"


class Clock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Door:
    """Knows one token, and refuses others with a sentence that must not get out."""

    async def principal(self, text: str) -> Principal:
        if text == "good":
            return KIM
        raise errors.Unauthenticated(f"the token {text} is wrong")


@pytest.fixture
def lines() -> Iterator[Lines]:
    with logged() as found:
        yield found


@pytest.fixture
def call() -> Iterator[Call]:
    made = Call("r-1", Trace.new(), 1e9, principal=KIM)
    token = CALL.set(made)
    yield made
    CALL.reset(token)


def authenticator(audit: Audit, header: str = "") -> Authenticator:
    policy = Policy({SEARCH: "search", DELETE: "ingest"}, {})
    return Authenticator(Door(), Door(), policy, audit, address_header=header)


async def refused(door: Authenticator, method: str, token: str, **metadata: str) -> None:
    with pytest.raises(errors.AppError):
        await door(method, {"authorization": f"Bearer {token}", **metadata})


async def test_a_caller_that_is_not_let_in_is_on_record_with_the_reason_alone(
    lines: Lines,
) -> None:
    await refused(authenticator(Audit()), SEARCH, SECRET)
    [line] = lines.of("authentication_refused")
    assert (line["logger"], line["outcome"]) == ("audit", "refused")
    assert (line["reason"], line["method"]) == ("TOKEN_INVALID", SEARCH)
    assert "secret" not in lines.getvalue()


async def test_a_caller_that_may_not_is_on_record_by_name(lines: Lines) -> None:
    await refused(authenticator(Audit()), DELETE, "good")
    [line] = lines.of("authorisation_refused")
    assert (line["subject"], line["tenant"], line["credential"]) == ("kim", "acme", "t-1")
    assert (line["reason"], line["method"]) == ("SCOPE_MISSING", DELETE)


async def test_a_caller_that_is_let_in_is_not_on_record(lines: Lines) -> None:
    await authenticator(Audit())(SEARCH, {"authorization": "Bearer good"})
    assert lines.getvalue() == ""


async def test_a_store_that_is_down_is_no_refusal(lines: Lines) -> None:
    with pytest.raises(errors.Unavailable), Audit().admitting(SEARCH):
        raise errors.Unavailable("down")
    assert lines.getvalue() == ""


async def test_where_the_caller_is_comes_from_the_proxy_s_header_alone(lines: Lines) -> None:
    given = {"x-envoy-external-address": "192.0.2.7", "x-forwarded-for": "203.0.113.9"}
    await refused(authenticator(Audit(), "X-Envoy-External-Address"), SEARCH, SECRET, **given)
    await refused(authenticator(Audit()), SEARCH, SECRET, **given)
    with_proxy, without = lines.of("authentication_refused")
    assert with_proxy["address"] == "192.0.2.7"
    assert "address" not in without


async def test_a_deed_is_on_record_with_who_what_and_where(lines: Lines, call: Call) -> None:
    with Audit().doing(Event.KEY_CREATED, SEARCH) as deed:
        deed.target = "key-1"
    [line] = lines.of("api_key_created")
    assert (line["outcome"], line["target"], line["subject"]) == ("done", "key-1", "kim")
    assert (line["request_id"], line["trace_id"]) == ("r-1", call.trace.trace_id)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (errors.NotFound("x"), "refused", "DOCUMENT_NOT_FOUND"),
        (errors.InvalidArgument("x"), "refused", "FIELD_INVALID"),
        (errors.CollectionForbidden("x"), "refused", "COLLECTION_FORBIDDEN"),
        (errors.Unavailable("x"), "failed", "DEPENDENCY_DOWN"),
        (RuntimeError("secret"), "failed", "INTERNAL"),
    ],
)
async def test_a_deed_that_was_not_done_says_why(
    lines: Lines, call: Call, error: Exception, outcome: str, reason: str
) -> None:
    with pytest.raises(type(error)), Audit().doing(Event.KEY_REVOKED, SEARCH, "key-1"):
        raise error
    [line] = lines.of("api_key_revoked")
    assert (line["outcome"], line["reason"]) == (outcome, reason)
    assert "secret" not in lines.getvalue()


async def test_a_log_s_level_leaves_nothing_out_of_the_audit() -> None:
    with logged(level="error") as lines:
        await refused(authenticator(Audit()), SEARCH, SECRET)
        assert lines.of("authentication_refused")


async def test_a_flood_of_refusals_is_written_as_a_few_and_a_number(lines: Lines) -> None:
    clock = Clock()
    audit = Audit(per_second=5, clock=clock)
    for _ in range(100):
        await refused(authenticator(audit), SEARCH, SECRET)
    assert len(lines.of("authentication_refused")) == 5
    clock.now += 1
    await refused(authenticator(audit), SEARCH, SECRET)
    assert len(lines.of("authentication_refused")) == 6
    [told] = lines.of("refusals_suppressed")
    assert (told["count"], told["reason"]) == (95, "TOKEN_INVALID")


async def test_the_number_is_told_though_nobody_comes_after(lines: Lines) -> None:
    audit = Audit()
    for _ in range(7):
        await refused(authenticator(audit), SEARCH, SECRET)
    await until(lambda: lines.of("refusals_suppressed"), "the number was told")


async def test_the_number_is_told_at_the_end(lines: Lines) -> None:
    audit = Audit()
    for _ in range(7):
        await refused(authenticator(audit), SEARCH, SECRET)
    audit.close()
    [told] = lines.of("refusals_suppressed")
    assert told["count"] == 2


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


async def test_callers_from_everywhere_do_not_fill_the_memory(lines: Lines) -> None:
    audit = Audit()
    door = authenticator(audit, "x-address")
    for number in range(1100):
        await refused(door, SEARCH, SECRET, **{"x-address": str(number)})
    assert len(audit._flood._seconds) == 1024


async def test_a_file_of_its_own_holds_the_same_and_is_its_owner_s_alone(
    tmp_path: Path, lines: Lines, call: Call
) -> None:
    path = tmp_path / "audit.log"
    path.write_text('{"event": "before"}\n')
    with Journal(path) as journal, Audit(journal.write).doing(Event.KEY_REVOKED, SEARCH, "한글"):
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
    with Journal(path) as journal, Audit(journal.write).doing(Event.KEY_REVOKED, SEARCH, target):
        pass
    [line] = path.read_text("utf-8").splitlines()
    assert len(json.loads(line)["target"]) == 256


async def test_a_file_that_cannot_be_written_stops_no_call(tmp_path: Path, lines: Lines) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Journal(tmp_path / "audit.log") as journal:
        audit = Audit(journal.write)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
        try:
            for _ in range(2):
                with audit.doing(Event.KEY_REVOKED, SEARCH, "key-1"):
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
    with pytest.raises(OSError, match=r"audit\.log|/dev/null"), Journal(path):
        pass


async def test_the_address_of_one_call_is_not_the_next_one_s() -> None:
    door = authenticator(Audit(), "x-address")
    await door(SEARCH, {"authorization": "Bearer good", "x-address": "192.0.2.1"})
    assert ADDRESS.get() == "192.0.2.1"
    await door(SEARCH, {"authorization": "Bearer good"})
    assert ADDRESS.get() == ""
