"""The embedder's stream, over a real channel."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from rag.embedder.v1 import embedder_service_pb2 as pb
from rag.embedder.v1 import embedder_service_pb2_grpc as stubs
from rag_common.grpc.bootstrap import Service, serving
from rag_common.observability.setup import Telemetry
from rag_contract import errors
from rag_contract.status import from_rpc_error
from rag_embedder.api.servicer import EmbedderServicer
from tests.support.rpc import Settings
from tests.unit.embedder.test_core import MOST_TOKENS, embedding


@asynccontextmanager
async def stub() -> AsyncIterator["stubs.EmbedderServiceAsyncStub"]:
    async with embedding() as parts:
        service = Service(
            "rag.embedder.v1.EmbedderService",
            stubs.add_EmbedderServiceServicer_to_server,
            EmbedderServicer(parts.embedder),
        )
        async with (
            serving([service], Settings(), Telemetry()) as ports,
            grpc.aio.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel,
        ):
            yield stubs.EmbedderServiceStub(channel)


def batch(*texts: str, task: "pb.Task" = pb.TASK_DOCUMENT) -> pb.EmbedStreamRequest:
    return pb.EmbedStreamRequest(batch=pb.EmbedRequest(texts=texts, task=task))


async def failure(call: object) -> errors.AppError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [reply async for reply in call]  # type: ignore[attr-defined]
    return from_rpc_error(caught.value)


async def test_a_reply_does_not_wait_for_the_next_batch() -> None:
    async with stub() as embedder:
        call = embedder.EmbedStream()
        for n in (1, 2, 3):
            await call.write(batch(*["w"] * n))
            reply = await call.read()
            assert len(reply.batch.embeddings) == n
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_a_bad_batch_ends_the_stream_with_its_error() -> None:
    async with stub() as embedder:
        call = embedder.EmbedStream([batch("w"), batch("w " * MOST_TOKENS), batch(" ")])
        assert type(await failure(call)) is errors.InputTooLong


async def test_a_task_must_be_said() -> None:
    async with stub() as embedder:
        error = await failure(embedder.EmbedStream([batch("w", task=pb.TASK_UNSPECIFIED)]))
    assert [violation.field for violation in error.violations] == ["task"]


@pytest.mark.parametrize(
    ("representation", "dense", "sparse"),
    [
        (pb.REPRESENTATION_UNSPECIFIED, True, True),
        (pb.REPRESENTATION_BOTH, True, True),
        (pb.REPRESENTATION_DENSE, True, False),
        (pb.REPRESENTATION_SPARSE, False, True),
    ],
)
async def test_only_what_is_wanted_comes_back(
    representation: "pb.Representation", dense: bool, sparse: bool
) -> None:
    request = pb.EmbedRequest(texts=["w"], task=pb.TASK_QUERY, representation=representation)
    async with stub() as embedder:
        [one] = (await embedder.Embed(request)).embeddings
    assert (one.HasField("dense"), one.HasField("sparse")) == (dense, sparse)
