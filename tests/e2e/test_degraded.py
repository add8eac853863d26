"""Without its generator, or without the generator's language model, the platform still answers and says so."""

import asyncio
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio

from rag.gateway.v1 import options_pb2 as options
from rag.gateway.v1.answer_service_pb2 import AnswerResponse
from rag.types.v1.passage_pb2 import Passage
from tests.e2e.callers import Caller, Refusal, refusal, refused, row
from tests.e2e.platform import Platform
from tests.support.generator.neighbour import Reply, ScriptedServer, finish, words
from tests.support.waiting import until

TEXT = "창고는 일곱 시에 문을 연다."
QUESTION = "창고는 언제 문을 여나?"
MODEL = "scripted"
BY_MODEL = {"generation": options.GenerationOptions(model=MODEL)}


@pytest.fixture(scope="module")
def model_port() -> int:
    """Where the language model listens, when it does."""
    with socket.socket() as result:
        result.bind(("127.0.0.1", 0))
        return int(result.getsockname()[1])


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
        "GATEWAY_EMBED_TIMEOUT": "3",
        "GATEWAY_SEARCH_TIMEOUT": "3",
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


async def page(platform: Platform, service: str) -> tuple[int, Any]:
    """The status and the body of the page of readiness."""
    url = f"http://127.0.0.1:{platform.specs[service].http_port}/health/ready"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.json()


async def says(platform: Platform, service: str, state: str) -> bool:
    status, body = await page(platform, service)
    return (status, body["status"]) == (200, state)


@dataclass(slots=True)
class Asking:
    """Questions that are asked all the time, at once and as streams, and what became of each."""

    caller: Caller
    # By the way of asking, and "whole" or "quoted".
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Refusal] = field(default_factory=list)
    running: bool = True

    async def more(self, kind: str, calls: int = 5) -> None:
        """Return when so many more answers of each way of asking were of this kind."""
        keys = [(way, kind) for way in ("answer", "stream")]
        goal = {key: self.counts[key] + calls for key in keys}
        await until(lambda: all(self.counts[key] >= goal[key] for key in keys), f"{kind} answers")

    async def repeat(self, way: str) -> None:
        while self.running:
            try:
                if way == "answer":
                    self._count(way, await self.caller.ask(QUESTION))
                    continue
                events = await self.caller.events(QUESTION)
            except grpc.aio.AioRpcError as error:
                self.failures.append(refusal(error))
                continue
            # A stream that had begun to write when its generator ended is incomplete.
            if events[-1].HasField("completed"):
                self._count(way, events[-1].completed)
            else:
                assert any(event.HasField("delta") for event in events)

    def _count(self, way: str, reply: AnswerResponse) -> None:
        assert "일곱 시" in reply.text
        assert reply.citations
        degraded = list(reply.provenance.degraded)
        assert degraded in ([], ["generator"])
        assert reply.provenance.generation_model == ("quote" if degraded else "extractive")
        self.counts[way, "quoted" if degraded else "whole"] += 1


@asynccontextmanager
async def asking(caller: Caller) -> AsyncIterator[Asking]:
    load = Asking(caller)
    tasks = [asyncio.create_task(load.repeat(way)) for way in ("answer", "stream") * 3]
    try:
        yield load
    finally:
        load.running = False
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


@asynccontextmanager
async def hung(platform: Platform, service: str) -> AsyncIterator[None]:
    """A service whose process is stopped, with its connections open, for the length of the block."""
    platform.signal(service, signal.SIGSTOP)
    try:
        yield
    finally:
        platform.signal(service, signal.SIGCONT)


async def test_a_generator_that_hangs_is_replaced_within_three_seconds(
    platform: Platform, caller: Caller
) -> None:
    async with hung(platform, "generator"):
        async with asyncio.timeout(3):
            reply, events = await asyncio.gather(caller.ask(QUESTION), caller.events(QUESTION))
        for response in (reply, events[-1].completed):
            assert "일곱 시" in response.text
            assert list(response.provenance.degraded) == ["generator"]
        async with asyncio.timeout(3):
            result = await refused(caller.check(TEXT, [Passage(passage_id="a", text=TEXT)]))
        assert row(result) == ("UNAVAILABLE", "DEPENDENCY_DOWN")
        assert result.metadata["peer"] == "generator"
        await until(lambda: says(platform, "gateway", "degraded"), "degraded", seconds=3)
        assert platform.serving("gateway")
    await until(lambda: whole(caller), "the generator answers again", seconds=20)


async def whole(caller: Caller) -> bool:
    return not (await caller.ask(QUESTION)).provenance.degraded


async def test_a_generator_that_hangs_under_load_fails_no_answer(
    platform: Platform, caller: Caller
) -> None:
    async with asking(caller) as load:
        await load.more("whole")
        async with hung(platform, "generator"):
            await load.more("quoted", calls=2)
        await load.more("whole")
    assert load.failures == []


async def test_a_connection_to_the_generator_on_which_nothing_comes_is_a_generator_that_hangs(
    platform: Platform, caller: Caller
) -> None:
    """Something listens at its address, takes connections, and never says anything."""
    platform.kill("generator")
    spec = platform.specs["generator"]
    async with await asyncio.start_server(silent, "127.0.0.1", spec.port):
        async with asyncio.timeout(3):
            reply = await caller.ask(QUESTION)
        assert list(reply.provenance.degraded) == ["generator"]


async def test_a_generator_that_hangs_while_it_writes_is_replaced_once_it_answers_no_ping(
    platform: Platform, caller: Caller, model_port: int
) -> None:
    connected = asyncio.Event()

    async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await silent(reader, writer)

    async with await asyncio.start_server(model, "127.0.0.1", model_port):
        requested = asyncio.create_task(caller.ask(QUESTION, **BY_MODEL))
        await connected.wait()
        async with hung(platform, "generator"), asyncio.timeout(25):
            reply = await requested
        assert list(reply.provenance.degraded) == ["generator"]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what comes, until the other side closes the connection, and answer nothing."""
    while await reader.read(4096):
        pass
    writer.close()


async def test_a_language_model_that_takes_its_time_is_waited_for(
    platform: Platform, caller: Caller, model_port: int
) -> None:
    """Longer than a generator may take to begin."""
    pause = 0.0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(pause)
        await script.answer(reader, writer)

    async def by_model() -> bool:
        return (await caller.ask(QUESTION, **BY_MODEL)).provenance.generation_model == MODEL

    script = ScriptedServer([Reply(events=(*words(TEXT[:-1], " [1]."), *finish("stop")))])
    async with await asyncio.start_server(slow, "127.0.0.1", model_port):
        # Another test may have left the generator to think that the model is away.
        await until(by_model, "the model answers")
        pause = 2.5
        began = time.monotonic()
        reply = await caller.ask(QUESTION, **BY_MODEL)
        assert time.monotonic() - began > pause
        assert (reply.provenance.generation_model, list(reply.provenance.degraded)) == (MODEL, [])


@pytest.mark.parametrize(("service", "stage"), [("embedder", "embed"), ("retriever", "search")])
async def test_a_service_that_is_needed_and_hangs_uses_up_its_stage_and_no_more(
    platform: Platform, caller: Caller, service: str, stage: str
) -> None:
    async with hung(platform, service), asyncio.timeout(5):
        result = await refused(caller.ask(QUESTION))
        assert row(result) == ("DEADLINE_EXCEEDED", "BUDGET_EXHAUSTED")
        assert result.metadata["stage"] == stage
        await until(lambda: not_serving(platform), "the gateway says that it does not serve")
    await until(lambda: says(platform, "gateway", "serving"), "serving again")


async def not_serving(platform: Platform) -> bool:
    return (await page(platform, "gateway"))[0] == 503


async def test_a_language_model_that_is_away_is_replaced_and_marked_until_it_is_back(
    platform: Platform, caller: Caller, model_port: int
) -> None:
    async def by() -> tuple[str, list[str]]:
        created = (await caller.ask(QUESTION, **BY_MODEL)).provenance
        return created.generation_model, list(created.degraded)

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
        result = await refused(caller.ask(QUESTION, **BY_MODEL))
        assert row(result) == ("UNAVAILABLE", "DEPENDENCY_DOWN")
        assert result.metadata["peer"] == "llm"
    finally:
        await asyncio.to_thread(platform.restart, "generator")
