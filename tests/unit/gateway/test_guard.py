"""The guard: a call's collections, its quota in one step, and its response stored once per request id."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from rag.gateway.v1 import document_service_pb2 as pb
from rag.gateway.v1.answer_service_pb2 import AnswerRequest, AnswerResponse
from rag.types.v1.document_pb2 import Document
from rag_common.context import CALL, Call, Principal
from rag_contract import errors
from rag_gateway.api.guard import Permit, RequestGuard, only_collection
from rag_gateway.api.uploads import Upload
from rag_gateway.auth.audit import Audit
from rag_gateway.idempotency.memory import LocalIdempotencyStore
from rag_gateway.idempotency.service import Idempotency
from rag_gateway.leases import Lease
from rag_gateway.quotas.buckets import Decision, Request
from rag_gateway.quotas.memory import LocalBuckets
from rag_gateway.quotas.service import Cost, Quotas
from rag_gateway.quotas.tiers import Tier
from tests.support.quotas.stores import OneTier, limits
from tests.support.waiting import until

TOKENS = 100


class CountedBuckets(LocalBuckets):
    """Counts how often something is acquired: with Redis, each time is a round trip."""

    def __init__(self) -> None:
        super().__init__()
        self.trips = 0

    async def acquire(self, group: str, requests: Sequence[Request], lease: Lease) -> Decision:
        self.trips += 1
        return await super().acquire(group, requests, lease)


@pytest.fixture
def buckets() -> CountedBuckets:
    return CountedBuckets()


@pytest.fixture
def guard(buckets: CountedBuckets) -> RequestGuard:
    """In front of a tenant with ten calls, 100 tokens and one stream."""
    tier = Tier(limits((10, 0), (TOKENS, 0), 1), limits())
    quotas = Quotas(OneTier(tier), buckets)
    return RequestGuard("rag.Test", Audit(), quotas, Idempotency(LocalIdempotencyStore()))


@asynccontextmanager
async def served(collections: frozenset[str] | None = None) -> AsyncIterator[Call]:
    """A call, whose resources are released at its end."""
    principal = Principal("kim", "acme", frozenset({"answer"}), collections=collections)
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    call = Call("from-header", trace_id, time.monotonic() + 60, principal=principal)
    token = CALL.set(call)
    try:
        async with call.resources:
            yield call
    finally:
        CALL.reset(token)


async def answer(guard: RequestGuard, request: AnswerRequest, answered: list[Permit]) -> str:
    """Answer as the servicer does, for 60 tokens."""
    async with served():
        permit = await guard.admit(
            "Answer", cost=Cost(tokens=60), retryable=bool(request.request_id)
        )

        async def work() -> AnswerResponse:
            answered.append(permit)
            permit.usage.record(60)
            return AnswerResponse(text=f"answer {len(answered)}")

        reply = await guard.idempotent("Answer", permit, request, work, AnswerResponse)
    return reply.text


async def test_calls_tokens_and_a_stream_are_reserved_in_one_step_until_the_call_ends(
    guard: RequestGuard, buckets: CountedBuckets
) -> None:
    async with served():
        await guard.admit("StreamAnswer", collections=[], cost=Cost(tokens=60, stream=True))
        async with served():
            with pytest.raises(errors.ConcurrencyLimit):
                await guard.admit("StreamAnswer", cost=Cost(stream=True))
    assert buckets.trips == 2
    async with served():
        await guard.admit("StreamAnswer", cost=Cost(stream=True))


async def test_a_message_names_its_call(guard: RequestGuard) -> None:
    async with served() as call:
        guard.name_call("from-message")
        permit = await guard.admit("Search")
    assert call.request_id == "from-message"
    assert permit.call is call


async def test_a_retry_gets_the_stored_response_though_no_tokens_are_left(
    guard: RequestGuard,
) -> None:
    answered: list[Permit] = []
    request = AnswerRequest(query="연차휴가는 며칠인가요?", request_id="r-1")
    assert await answer(guard, request, answered) == "answer 1"
    assert await answer(guard, request, answered) == "answer 1"
    request.request_id = "r-2"
    with pytest.raises(errors.TokenBudget):
        await answer(guard, request, answered)
    assert len(answered) == 1


async def test_without_a_request_id_everything_is_one_step(
    guard: RequestGuard, buckets: CountedBuckets
) -> None:
    await answer(guard, AnswerRequest(query="연차휴가는 며칠인가요?"), [])
    assert buckets.trips == 1


async def test_a_closed_collection_is_refused_before_anything_is_reserved(
    guard: RequestGuard, buckets: CountedBuckets
) -> None:
    async with served(frozenset({"hr"})) as call:
        with pytest.raises(errors.CollectionForbidden):
            await guard.admit("Search", collections=["legal"])
    assert not call.resources.reserved
    assert buckets.trips == 0


@pytest.mark.parametrize(
    ("opened", "requested", "only"),
    [(None, "", ""), (None, "hr", "hr"), (("hr",), "", "hr"), (("hr", "it"), "it", "it")],
)
async def test_the_only_collection(
    guard: RequestGuard, opened: tuple[str, ...] | None, requested: str, only: str
) -> None:
    async with served(None if opened is None else frozenset(opened)):
        permit = await guard.admit("ListDocuments", collections=[requested] if requested else [])
        assert only_collection(permit, requested) == only


async def test_of_several_open_collections_one_must_be_named(guard: RequestGuard) -> None:
    async with served(frozenset({"hr", "it"})):
        permit = await guard.admit("ListDocuments", collections=[])
        with pytest.raises(errors.FieldInvalid, match="is required"):
            only_collection(permit, "")


async def test_a_call_without_a_caller_is_refused(guard: RequestGuard) -> None:
    with pytest.raises(errors.TokenMissing):
        await guard.admit("Search")


def pieces(*content: bytes) -> AsyncIterator[pb.UploadDocumentRequest]:
    async def messages() -> AsyncIterator[pb.UploadDocumentRequest]:
        for piece in content:
            yield pb.UploadDocumentRequest(content=piece)

    return messages()


async def upload(guard: RequestGuard, header: pb.UploadHeader, *content: bytes) -> tuple[str, int]:
    """Upload as the servicer does; the version in the response, and the bytes that were passed on."""
    taken = Upload(pieces(*content), limit=100)
    passed_on = bytearray()
    async with served():
        permit = await guard.admit("UploadDocument")

        async def work() -> pb.UploadDocumentResponse:
            async for piece in taken.pieces():
                passed_on.extend(piece)
            return pb.UploadDocumentResponse(document=Document(version=f"of {len(passed_on)}"))

        response = pb.UploadDocumentResponse
        reply = await guard.idempotent(
            "UploadDocument", permit, header, work, response, taken.digest
        )
    return reply.document.version, len(passed_on)


async def test_an_upload_that_is_tried_again_is_compared_and_not_passed_on(
    guard: RequestGuard,
) -> None:
    header = pb.UploadHeader(collection="wiki", request_id="r-1")
    assert await upload(guard, header, b"abc", b"de") == ("of 5", 5)
    assert await upload(guard, header, b"ab", b"cde") == ("of 5", 0)
    for changed in ((b"abc", b"dE"), (b"abc",), (b"abc", b"de", b"f")):
        with pytest.raises(errors.RequestIdReused):
            await upload(guard, header, *changed)
    with pytest.raises(errors.FieldInvalid):
        await upload(guard, header)
    with pytest.raises(errors.MessageTooLarge):
        await upload(guard, header, b"x" * 101)
    header.collection = "other"
    with pytest.raises(errors.RequestIdReused):
        await upload(guard, header, b"abc", b"de")


async def test_an_upload_in_which_nothing_comes_for_long_ends() -> None:
    async def silent() -> AsyncIterator[pb.UploadDocumentRequest]:
        yield pb.UploadDocumentRequest(content=b"a")
        await asyncio.Event().wait()

    taken = Upload(silent(), limit=100, stalled=0.05)
    with pytest.raises(errors.DeadlineExceeded):
        await taken.digest()
    await taken.settle()


async def test_what_is_read_when_a_call_fails_leaves_the_rest_to_be_read() -> None:
    """The interceptor reads the rest, so that the caller gets the status; only one can read at a time."""
    go = asyncio.Event()

    async def messages() -> AsyncIterator[pb.UploadDocumentRequest]:
        yield pb.UploadDocumentRequest(content=b"a")
        await go.wait()
        yield pb.UploadDocumentRequest(content=b"b")
        yield pb.UploadDocumentRequest(content=b"c")

    source = messages()
    taken = Upload(source, limit=100)
    reading = asyncio.create_task(taken.digest())
    await until(lambda: taken.size == 1, "the first piece is read")
    reading.cancel()
    await asyncio.wait([reading])
    go.set()
    await taken.settle()
    assert [message.content async for message in source] == [b"c"]


async def test_an_upload_that_failed_may_be_tried_again_with_other_content(
    guard: RequestGuard,
) -> None:
    header = pb.UploadHeader(collection="wiki", request_id="r-1")
    with pytest.raises(errors.MessageTooLarge):
        await upload(guard, header, b"x" * 101)
    assert await upload(guard, header, b"abc") == ("of 3", 3)
