"""The platform on a real Qdrant server: a question is answered, and documents keep their outcomes."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from tests.e2e.callers import CREATED, Caller
from tests.e2e.outcomes import same_content_at_once
from tests.e2e.platform import Platform
from tests.support.qdrant import QdrantServer

LEAVE = "# 휴가 규정\n\n## 연차\n\n연차 휴가는 15일입니다.\n"


@pytest.fixture(scope="module")
def on_server(
    tmp_path_factory: pytest.TempPathFactory, models: Path, qdrant: QdrantServer
) -> Iterator[Platform]:
    environment = {
        "EMBEDDER_MODELS_DIR": str(models),
        "RETRIEVER_ENGINE": "server",
        "RETRIEVER_QDRANT_URL": qdrant.url,
        "RETRIEVER_QDRANT_GRPC_PORT": str(qdrant.grpc_port),
    }
    with Platform(tmp_path_factory.mktemp("on-server"), environment) as running:
        yield running


@pytest_asyncio.fixture
async def server_caller(on_server: Platform, tenant: str) -> AsyncIterator[Caller]:
    async with grpc.aio.insecure_channel(on_server.target) as channel:
        yield Caller(channel, on_server.token(tenant))


async def test_a_question_is_answered_from_a_document_on_the_server(server_caller: Caller) -> None:
    done = await server_caller.ingest("leave", LEAVE, filename="leave.md")
    assert done.outcome == CREATED
    reply = await server_caller.ask("연차 휴가는 며칠인가요?")
    assert "15일" in reply.text
    assert [citation.document_id for citation in reply.citations] == ["leave"]


async def test_of_callers_that_bring_the_same_content_at_once_one_changes_it_on_the_server(
    server_caller: Caller,
) -> None:
    await same_content_at_once(server_caller)
