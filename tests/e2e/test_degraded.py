"""Without its generator, or without the generator's language model, the platform still answers and says so."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import options_pb2 as options
from rag.types.v1.grounding_pb2 import SKIPPED_REASON_WEAK_EVIDENCE
from tests.e2e.callers import Caller, Refusal, refusal
from tests.e2e.platform import Platform
from tests.generator.neighbour import Reply, ScriptedServer, finish, words
from tests.waiting import until

TEXT = "창고는 일곱 시에 문을 연다."
QUESTION = "창고는 언제 문을 여나?"
MODEL = "scripted"
BY_MODEL = {"generation": options.GenerationOptions(model=MODEL)}


@pytest.fixture(scope="module")
def model_port() -> int:
    """Where the language model listens, when it does."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def language_model(port: int) -> AsyncIterator[ScriptedServer]:
    """A language model that knows the answer, there for the length of the block."""
    script = ScriptedServer([Reply(events=(*words(TEXT[:-1], " [1]."), *finish("stop")))])
    async with await asyncio.start_server(script.answer, "127.0.0.1", port):
        yield script


@pytest_asyncio.fixture(scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, models: object, model_port: int
) -> AsyncIterator[Platform]:
    environment = {
        "EMBEDDER_MODELS_DIR": str(models),
        "GATEWAY_HEALTH_INTERVAL": "0.3",
        "GENERATOR_HEALTH_INTERVAL": "0.3",
        "GENERATOR_OPENAI_URL": f"http://127.0.0.1:{model_port}/v1",
        "GENERATOR_OPENAI_MODELS": MODEL,
    }
    running = Platform(tmp_path_factory.mktemp("degraded"), environment)
    await asyncio.to_thread(running.__enter__)
    yield running
    await asyncio.to_thread(running.__exit__, None, None, None)


@pytest_asyncio.fixture
async def platform(shared: Platform) -> AsyncIterator[Platform]:
    """A platform whose generator may be ended: each test finds all of it in use."""
    yield shared
    await asyncio.to_thread(shared.revive)
    await until(lambda: says(shared, "gateway", "serving"), "the gateway finds its generator")


@pytest_asyncio.fixture
async def caller(platform: Platform, tenant: str) -> AsyncIterator[Caller]:
    """A tenant with one document."""
    async with grpc.aio.insecure_channel(platform.target) as channel:
        caller = Caller(channel, platform.token(tenant))
        await caller.ingest("doc", TEXT)
        yield caller


async def page(platform: Platform, service: str, name: str = "ready") -> tuple[int, Any]:
    """The status and the body of a page of health."""
    url = f"http://127.0.0.1:{platform.specs[service].http_port}/health/{name}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.json()


async def says(platform: Platform, service: str, state: str) -> bool:
    status, body = await page(platform, service)
    return (status, body["status"]) == (200, state)


@dataclass(slots=True)
class Asking:
    """Questions that are asked all the time, at once and as streams, and what became of each."""

    caller: Caller
    whole: dict[str, int] = field(default_factory=lambda: {"answer": 0, "stream": 0})
    quoted: dict[str, int] = field(default_factory=lambda: {"answer": 0, "stream": 0})
    broken: int = 0
    failures: list[Refusal] = field(default_factory=list)
    running: bool = True

    async def more(self, kind: str, calls: int = 5) -> None:
        """Return when so many more answers of each way of asking were of this kind."""
        counted: dict[str, int] = getattr(self, kind)
        wanted = {way: count + calls for way, count in counted.items()}
        await until(
            lambda: all(counted[way] >= count for way, count in wanted.items()), f"{kind} answers"
        )

    async def ask(self) -> None:
        while self.running:
            try:
                self._count("answer", await self.caller.ask(QUESTION))
            except grpc.aio.AioRpcError as error:
                self.failures.append(refusal(error))

    async def stream(self) -> None:
        while self.running:
            try:
                events = await self.caller.events(QUESTION)
            except grpc.aio.AioRpcError as error:
                self.failures.append(refusal(error))
                continue
            if events[-1].HasField("completed"):
                self._count("stream", events[-1].completed)
            else:
                assert any(event.HasField("delta") for event in events)
                self.broken += 1

    def _count(self, way: str, reply: answers.AnswerResponse) -> None:
        assert "일곱 시" in reply.text
        assert reply.citations
        degraded = list(reply.provenance.degraded)
        assert degraded in ([], ["generator"])
        assert reply.provenance.generation_model == ("quote" if degraded else "extractive")
        (self.quoted if degraded else self.whole)[way] += 1


@asynccontextmanager
async def asking(caller: Caller) -> AsyncIterator[Asking]:
    made = Asking(caller)
    tasks = [asyncio.create_task(ask()) for ask in (made.ask, made.stream) * 3]
    try:
        yield made
    finally:
        made.running = False
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_a_generator_that_ends_under_load_fails_no_answer_and_comes_back_by_itself(
    platform: Platform, caller: Caller, number: signal.Signals
) -> None:
    async with asking(caller) as load:
        await load.more("whole")
        platform.signal("generator", number)
        await load.more("quoted")
        await until(lambda: says(platform, "gateway", "degraded"), "the gateway says degraded")
        assert platform.serving("gateway")
        code = await asyncio.to_thread(platform.ended, "generator")
        assert code == (0 if number is signal.SIGTERM else -number)
        await asyncio.to_thread(platform.begin, "generator")
        await load.more("whole")
    assert load.failures == []
    await until(lambda: says(platform, "gateway", "serving"), "the gateway says serving")
    _, body = await page(platform, "gateway")
    generator = body["checks"]["generator"]
    assert (generator["kind"], generator["ok"]) == ("want", True)
    assert generator["last_error"] == "DEPENDENCY_DOWN"
    assert generator["last_error_seconds_ago"] < 120


async def test_the_gateway_stays_serving_all_the_time_that_its_generator_is_away(
    platform: Platform, caller: Caller
) -> None:
    before = len(changes(platform))
    platform.kill("generator")
    await until(lambda: says(platform, "gateway", "degraded"), "the gateway says degraded")
    await asyncio.to_thread(platform.revive)
    await until(lambda: says(platform, "gateway", "serving"), "the gateway says serving")
    told = changes(platform)[before:]
    assert [line["degraded"] for line in told] == [{"generator": "DEPENDENCY_DOWN"}, {}]
    assert all(line["serving"] for line in told)


def changes(platform: Platform) -> list[dict[str, Any]]:
    """What the gateway's log says of its health."""
    return [line for line in platform.lines("gateway") if line["event"] == "health"]


async def test_a_stream_without_a_generator_is_whole(platform: Platform, caller: Caller) -> None:
    platform.kill("generator")
    events = await caller.events(QUESTION)
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["started", "retrieved", "delta", "citation", "grounding", "completed"]
    reply = events[-1].completed
    assert events[2].delta.text == reply.text
    [citation] = reply.citations
    assert reply.text[citation.answer_start : citation.answer_end] == citation.quote == TEXT
    assert reply.text.startswith("지금은 답변을 작성할 수 없습니다.")
    assert reply.grounding.score == 1.0


async def test_what_the_documents_do_not_answer_is_not_quoted(
    platform: Platform, caller: Caller
) -> None:
    platform.kill("generator")
    reply = await caller.ask("What is the capital of France?")
    assert reply.skipped_reason == SKIPPED_REASON_WEAK_EVIDENCE
    assert not reply.citations
    assert list(reply.provenance.degraded) == ["generator"]


async def test_a_language_model_that_is_away_is_replaced_and_marked_until_it_is_back(
    platform: Platform, caller: Caller, model_port: int
) -> None:
    async def by() -> tuple[str, list[str]]:
        made = (await caller.ask(QUESTION, **BY_MODEL)).provenance
        return made.generation_model, list(made.degraded)

    async def back() -> bool:
        return await by() == (MODEL, [])

    async with language_model(model_port):
        await until(back, "the model answers")
    assert await by() == ("extractive", ["language_model"])
    last = (await caller.events(QUESTION, **BY_MODEL))[-1].completed
    assert list(last.provenance.degraded) == ["language_model"]
    await until(lambda: says(platform, "generator", "degraded"), "the generator says degraded")
    assert await says(platform, "gateway", "serving")
    async with language_model(model_port):
        await until(back, "the model answers again")
    assert platform.serving("generator")


async def test_without_the_fallback_a_language_model_that_is_away_is_an_error(
    platform: Platform, caller: Caller
) -> None:
    await asyncio.to_thread(platform.restart, "generator", GENERATOR_FALLBACK="false")
    try:
        await until(lambda: says(platform, "gateway", "serving"), "the generator is found again")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await caller.ask(QUESTION, **BY_MODEL)
        found = refusal(raised.value)
        assert (found.code, found.reason) == ("UNAVAILABLE", "DEPENDENCY_DOWN")
        assert found.metadata["peer"] == "llm"
    finally:
        await asyncio.to_thread(platform.restart, "generator")


@pytest.mark.parametrize("service", ["gateway", "generator"])
async def test_a_service_that_runs_has_started(platform: Platform, service: str) -> None:
    assert await page(platform, service, "started") == (200, {"status": "started"})
