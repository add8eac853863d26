"""Both flavours of the client against a neighbour: deadlines, retries, errors, tokens."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from rag.gateway.v1 import answer_service_pb2 as answers
from rag_client import Client
from rag_client.client.aio import AsyncClient
from rag_contract import errors
from tests.support.client import replies
from tests.support.client.fixtures import AT_ONCE
from tests.support.client.neighbour import TRACE, Neighbour, PlainRefusal, Silence

Call = Callable[..., Any]
DOWN = PlainRefusal(grpc.StatusCode.UNAVAILABLE)


@pytest.mark.parametrize(
    ("options", "longest"), [({}, 31), ({"timeout": 6.0}, 6)], ids=["default", "own"]
)
def test_a_call_carries_token_trace_and_deadline(
    neighbour: Neighbour, call: Call, options: dict[str, float], longest: float
) -> None:
    neighbour.says("Search", replies.search("a"))
    call("search", "연차", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", **options)
    heard = neighbour.heard[0]
    assert heard.metadata["authorization"] == "Bearer the-token"
    assert heard.metadata["traceparent"] == f"00-{TRACE}-00f067aa0ba902b7-01"
    assert 5 < heard.remaining <= longest


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("rojo=00f067aa0ba902b7, congo=t61", "rojo=00f067aa0ba902b7,congo=t61"),
        ("Malformed", None),
        (",".join(f"k{n}={'v' * 100}" for n in range(9)), 415),
        (None, None),
    ],
)
def test_a_tracestate_goes_with_its_trace(
    neighbour: Neighbour, call: Call, given: str | None, sent: str | int | None
) -> None:
    neighbour.says("Search", replies.search(), replies.search())
    call("search", "연차", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", tracestate=given)
    call("search", "연차", tracestate=given)
    with_trace, without = (heard.metadata.get("tracestate") for heard in neighbour.heard)
    assert (len(with_trace) if isinstance(sent, int) else with_trace) == sent
    assert without is None


def test_a_deadline_that_passes_is_an_error_of_the_tree(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("Search", Silence())
    with pytest.raises(errors.DeadlineExceeded):
        call("search", "연차", timeout=0.2)


@pytest.mark.parametrize("arguments", [("search", "연차"), ("ingest", b"x" * (2**20 + 1))])
def test_a_call_that_the_other_side_cancels_is_unavailable(
    neighbour: Neighbour, call: Call, arguments: tuple[Any, ...]
) -> None:
    gone = PlainRefusal(grpc.StatusCode.CANCELLED)
    neighbour.says("Search", gone, gone, gone)
    neighbour.says("UploadDocument", gone)
    with pytest.raises(errors.Unavailable, match="closed the connection"):
        call(*arguments, **({"document_id": "a"} if arguments[0] == "ingest" else {}))


async def test_an_upload_at_its_deadline_is_over_its_deadline_and_not_cancelled(
    neighbour: Neighbour, target: str
) -> None:
    """Each of many, whatever it was doing when the time was up."""
    ended: Counter[str] = Counter()
    neighbour.says("UploadDocument", *[errors.Internal("too late")] * 40)
    async with AsyncClient(target, token="the-token") as client:

        async def upload(number: int) -> None:
            try:
                await client.ingest(
                    b"x" * (2**20 + 1), document_id="a", timeout=0.001 * (1 + number % 8)
                )
            except errors.AppError as error:
                ended[type(error).__name__] += 1

        await asyncio.gather(*(upload(number) for number in range(40)))
    assert ended.total() == 40
    assert set(ended) <= {"DeadlineExceeded", "Internal"}
    assert ended["DeadlineExceeded"] > 10


def test_options_arrive_and_what_is_left_out_stays_unset(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("Search", replies.search())
    call("search", "연차", collections=["rules"], mode="sparse", fusion="rrf", min_score=0.0)
    retrieval = neighbour.heard[0].request.retrieval
    assert list(retrieval.collections) == ["rules"]
    assert (retrieval.mode, retrieval.fusion) == (3, 2)
    assert retrieval.HasField("min_score")
    assert not retrieval.HasField("top_k")


def test_a_word_that_no_option_knows_is_refused_before_the_call(
    neighbour: Neighbour, call: Call
) -> None:
    with pytest.raises(errors.InvalidArgument, match="one of hybrid, dense, sparse"):
        call("search", "연차", mode="fuzzy")
    assert not neighbour.heard


def test_a_read_is_tried_again_while_the_gateway_is_away(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("Search", DOWN, DOWN, replies.search("a"))
    assert call("search", "연차").passages[0].passage.document_id == "a"
    assert len(neighbour.heard) == 3


def test_a_read_is_tried_three_times_at_most(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("Search", DOWN, DOWN, DOWN, replies.search())
    with pytest.raises(errors.Unavailable):
        call("search", "연차")
    assert len(neighbour.heard) == 3


@pytest.mark.parametrize(
    "refusal",
    [
        errors.ConcurrencyLimit("full", retry_after=0.001),
        errors.FieldInvalid.of("top_k", "1 to 100"),
        errors.Internal("internal error"),
        PlainRefusal(grpc.StatusCode.RESOURCE_EXHAUSTED),
        PlainRefusal(grpc.StatusCode.UNAVAILABLE, (("grpc-retry-pushback-ms", "-1"),)),
    ],
)
def test_nothing_else_is_tried_again(neighbour: Neighbour, call: Call, refusal: Any) -> None:
    neighbour.says("Search", refusal)
    with pytest.raises(errors.AppError):
        call("search", "연차")
    assert len(neighbour.heard) == 1


def test_a_wait_that_would_outlast_the_deadline_is_not_begun(
    neighbour: Neighbour, call: Call
) -> None:
    neighbour.says("Search", errors.Overloaded("busy", retry_after=60.0))
    with pytest.raises(errors.Overloaded):
        call("search", "연차", timeout=10.0)
    assert len(neighbour.heard) == 1


def test_an_error_keeps_type_reason_fields_and_trace(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("Search", errors.FilterInvalid.of("filter.must[0].key", "a letter first"))
    with pytest.raises(errors.FilterInvalid) as caught:
        call("search", "연차")
    error: Any = caught.value
    assert error.reason == "FILTER_INVALID"
    assert [violation.field for violation in error.violations] == ["filter.must[0].key"]
    assert (error.trace_id, error.request_id) == (TRACE, "request-1")


def test_texts_to_check_against_are_numbered(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("CheckGrounding", answers.CheckGroundingResponse(trace_id=TRACE))
    assert call("check_grounding", "15일이다.", ["연차는 15일이다.", "휴가."]).trace_id == TRACE
    assert [item.passage_id for item in neighbour.heard[0].request.passages] == ["1", "2"]


def test_capabilities_say_the_limits(neighbour: Neighbour, call: Call) -> None:
    limits = answers.Limits(top_k=100)
    neighbour.says("GetCapabilities", answers.GetCapabilitiesResponse(limits=limits))
    assert call("capabilities").limits.top_k == 100


def test_a_function_is_asked_for_a_token_before_each_attempt(
    neighbour: Neighbour, target: str
) -> None:
    neighbour.says("Search", DOWN, replies.search())
    tokens = iter(["first", "second"])
    with Client(target, token=lambda: next(tokens), retries=AT_ONCE) as client:
        client.search("연차")
    sent = [heard.metadata["authorization"] for heard in neighbour.heard]
    assert sent == ["Bearer first", "Bearer second"]


async def test_an_async_function_may_give_the_token(neighbour: Neighbour, target: str) -> None:
    neighbour.says("Search", replies.search())

    async def token() -> str:
        return "awaited"

    async with AsyncClient(target, token=token) as client:
        await client.search("연차")
    assert neighbour.heard[0].metadata["authorization"] == "Bearer awaited"
