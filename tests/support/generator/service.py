"""The generator as its app puts it together, with what it tells: its spans by OTLP, its page of metrics."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from rag.generator.v1 import generator_service_pb2 as pb
from rag.generator.v1.generator_service_pb2_grpc import GeneratorServiceStub
from rag.types.v1.passage_pb2 import Evidence, Passage, ScoredPassage
from rag_generator.app import app
from rag_generator.settings import Settings
from tests.support.receiver import Receiver, by_grpc
from tests.support.rpc import logged
from tests.support.waiting import until

QUESTION = "연차 휴가는 한 해에 며칠인가요?"
TEXT = "우리 회사의 휴가 안내이다. 연차 휴가는 한 해에 15일을 준다. 병가는 따로 정한다."
MODEL = "small"


@contextmanager
def receiving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Spans that end arrive here soon after."""
    with by_grpc() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield receiver


@dataclass(frozen=True, slots=True)
class Running:
    """A generator, and a channel to it."""

    stub: Any
    page_url: str

    async def ask(self, model: str = MODEL, **given: Any) -> pb.GenerateResponse:
        """An answer. Raises grpc.aio.AioRpcError."""
        reply: pb.GenerateResponse = await self.stub.Generate(asked(model=model, **given))
        return reply

    async def page(self) -> str:
        """What Prometheus is shown."""
        async with aiohttp.ClientSession() as session, session.get(self.page_url) as response:
            return await response.text()

    async def value(self, name: str, **labels: str) -> float | None:
        """A sample's value, by its labels besides the service; None where there is no such sample."""
        expected = {"service": "generator", **labels}
        for found in re.finditer(rf"^{name}(?:{{(.*?)}})? (\S+)", await self.page(), re.MULTILINE):
            if dict(re.findall(r'(\w+)="(.*?)"', found[1] or "")) == expected:
                return float(found[2])
        return None

    async def counted(self, name: str, **labels: str) -> float:
        """The sample's value once there is one over 0."""
        what = f"{name} {labels}"
        return float(await until(lambda: self.value(name, **labels), what, seconds=20))


@asynccontextmanager
async def running(url: str = "", **settings: Any) -> AsyncIterator[Running]:
    """The generator with one model, at `url`, on free ports."""
    reported = {"openai_url": url, "openai_models": MODEL} if url else {}
    ports = dict.fromkeys(("port", "health_port", "http_port"), 0)
    created = Settings(**{"drain_delay": 0, "delta_interval": 0, **ports, **reported, **settings})
    with logged():
        async with (
            app(created) as listening,
            grpc.aio.insecure_channel(f"127.0.0.1:{listening.grpc}") as channel,
        ):
            page = f"http://127.0.0.1:{listening.http}/metrics"
            yield Running(GeneratorServiceStub(channel), page)


def asked(kind: Any = pb.GenerateRequest, *, model: str = MODEL, **given: Any) -> Any:
    """The question with one passage that answers it."""
    options = pb.GenerationOptions(model=model, max_output_tokens=64, temperature=0.5)
    return kind(**{"question": QUESTION, "passages": [scored()], "options": options, **given})


def scored(text: str = TEXT, score: float = 0.9) -> ScoredPassage:
    passage = Passage(passage_id="leave", document_id="doc", text=text, title="휴가 규정")
    return ScoredPassage(passage=passage, evidence=Evidence(score=score))


async def span(receiver: Receiver, name: str) -> Span:
    """The one span of this name, once it has come."""

    def found() -> list[Span]:
        return [one for one in receiver.spans("rag-generator") if one.name == name]

    [only] = await until(found, f"a span {name}", seconds=20)
    return only
