"""A service that dies, hangs, stops or is full: what callers see of it, and that nothing is lost."""

import asyncio
import signal
from collections.abc import AsyncIterator

import grpc
import httpx
import pytest
import pytest_asyncio

from rag.gateway.v1 import options_pb2 as options
from rag.types.v1.passage_pb2 import Passage
from tests.e2e.callers import Caller, is_contract, refusal, refused, row
from tests.e2e.load import load
from tests.e2e.model import FIRST, NAME, SECOND, GatedModel, served
from tests.e2e.platform import Platform
from tests.support.waiting import until

# The generator is not among them: without it answers are quotes (test_degraded.py).
BEHIND = ("embedder", "retriever")
# The embedder takes longest to come back, and does so in the tests above.
NIGHTLY = (pytest.param("embedder", marks=pytest.mark.long), "retriever", "gateway")
WAREHOUSE = [Passage(passage_id="a", text="The warehouse opens at seven.")]
GATED = {
    "passages": WAREHOUSE,
    "generation": options.GenerationOptions(model=NAME),
    "grounding": options.GroundingOptions(mode="GROUNDING_MODE_OFF"),
}
QUESTION = "When does the warehouse open?"


@pytest_asyncio.fixture(scope="module")
async def model() -> AsyncIterator[GatedModel]:
    async with served(GatedModel()) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, models: object, model: GatedModel
) -> AsyncIterator[Platform]:
    environment = {
        "EMBEDDER_MODELS_DIR": str(models),
        "GATEWAY_EMBED_TIMEOUT": "2",
        "GATEWAY_HEALTH_INTERVAL": "0.5",
        **model.environment,
    }
    home = tmp_path_factory.mktemp("mortal")
    mortal = Platform(home, environment)
    await asyncio.to_thread(mortal.__enter__)
    yield mortal
    await asyncio.to_thread(mortal.__exit__, None, None, None)


@pytest_asyncio.fixture
async def mortal(shared: Platform, model: GatedModel) -> AsyncIterator[Platform]:
    """A platform whose services may be killed: each test finds all of them serving."""
    model.go.clear()
    yield shared
    model.go.set()
    await revive(shared)


@pytest_asyncio.fixture
async def caller(mortal: Platform, tenant: str) -> AsyncIterator[Caller]:
    options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]
    async with grpc.aio.insecure_channel(mortal.target, options=options) as channel:
        yield Caller(channel, mortal.token(tenant))


async def revive(mortal: Platform) -> None:
    """Start what has ended, and wait until the gateway has found all of it again."""
    await asyncio.to_thread(mortal.revive)
    async with grpc.aio.insecure_channel(mortal.target) as channel:
        probe = Caller(channel, mortal.token("probe"))
        await until(lambda: answers(probe), "a question is answered")


async def refused_of_a_burst(caller: Caller) -> int:
    """How many of 64 searches at once are refused for a full queue, with a time to come back: some."""
    burst = [caller.search(f"창고 {number}") for number in range(64)]
    outcomes = await asyncio.gather(*burst, return_exceptions=True)
    failed = [one for one in outcomes if isinstance(one, grpc.aio.AioRpcError)]
    assert 0 < len(failed) < len(burst)
    result = refusal(failed[0])
    assert row(result) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
    assert result.retry_after
    return len(failed)


async def answers(caller: Caller) -> bool:
    try:
        reply = await caller.ask("창고는 언제 문을 여나?")
    except grpc.aio.AioRpcError:
        return False
    return not reply.provenance.degraded


async def serves(mortal: Platform, name: str) -> bool:
    return await asyncio.to_thread(mortal.serving, name)


async def not_serving(mortal: Platform, name: str) -> bool:
    return not await serves(mortal, name)


@pytest.mark.parametrize("dead", BEHIND)
async def test_a_dead_service_is_unavailable_with_a_time_to_come_back_and_then_is_back(
    mortal: Platform, caller: Caller, dead: str
) -> None:
    await caller.ingest("doc", "창고는 일곱 시에 문을 연다.")
    mortal.kill(dead)
    for call in (
        caller.ask("창고는 언제 문을 여나?"),
        caller.ingest("other", "다른 창고 규칙이다."),
    ):
        result = await refused(call)
        assert row(result) == ("UNAVAILABLE", "DEPENDENCY_DOWN")
        assert result.retry_after
        assert result.metadata["peer"] == dead
        assert result.trace_id
    await until(lambda: not_serving(mortal, "gateway"), "the gateway says that it does not serve")
    await revive(mortal)
    for service in ("gateway", "ingestor"):
        await until(lambda service=service: serves(mortal, service), f"the {service} serves again")
    assert "일곱 시" in (await caller.ask("창고는 언제 문을 여나?")).text
    assert await caller.every_document() == ["doc"]


@pytest.mark.parametrize("victim", NIGHTLY)
async def test_kill_9_under_load_loses_no_acknowledged_document(
    mortal: Platform, caller: Caller, victim: str
) -> None:
    async with load(caller) as running:
        await running.flows()
        mortal.kill(victim)
        await running.fails()
        await revive(mortal)
        await running.flows()
    assert running.stored <= set(await caller.every_document(page_size=100))
    assert [result for result in running.failures if not is_contract(result)] == []
    sample = sorted(running.stored)[-1]
    assert [item.text for item in await caller.passages(sample)] == [
        f"쪽지 {sample}의 창고 규칙이다."
    ]


@pytest.mark.parametrize("stopped", NIGHTLY)
async def test_sigterm_under_load_drains_and_ends_well(
    mortal: Platform, caller: Caller, stopped: str
) -> None:
    async with load(caller) as running:
        await running.flows()
        mortal.signal(stopped, signal.SIGTERM)
        await running.fails()
        assert await asyncio.to_thread(mortal.ended, stopped) == 0
        await revive(mortal)
        await running.flows()
    assert running.stored <= set(await caller.every_document(page_size=100))
    failures = running.failures
    if stopped == "gateway":
        # A call of the very moment in which the listener closes is cancelled by gRPC, unbegun.
        failures = [result for result in failures if row(result) != ("CANCELLED", "")]
    assert {result.code for result in failures} <= {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
    assert all(map(is_contract, failures))


@pytest.mark.parametrize("stopped", ["generator", "gateway"])
async def test_an_answer_in_flight_ends_whole_while_its_service_drains(
    mortal: Platform, caller: Caller, model: GatedModel, stopped: str
) -> None:
    streaming = caller.stream(QUESTION, **GATED)
    text = await first_words(streaming)
    mortal.signal(stopped, signal.SIGTERM)
    await until(lambda: not_serving(mortal, stopped), f"the {stopped} drains")
    model.go.set()
    rest = [event async for event in streaming]
    text += "".join(event.delta.text for event in rest if event.HasField("delta"))
    assert text == FIRST + SECOND
    assert rest[-1].completed.text == text
    assert await asyncio.to_thread(mortal.ended, stopped) == 0


async def first_words(streaming: grpc.aio.UnaryStreamCall) -> str:  # type: ignore[type-arg]
    async for event in streaming:
        if event.HasField("delta"):
            return event.delta.text
    raise AssertionError("the stream ended without a word")


@pytest.mark.parametrize("method", ["ask", "events"])
async def test_a_client_that_leaves_stops_the_model(
    caller: Caller, model: GatedModel, method: str
) -> None:
    requested, left = model.asked, model.left
    call = asyncio.create_task(getattr(caller, method)(QUESTION, **GATED))
    await until(lambda: model.asked == requested + 1, "the model is asked")
    call.cancel()
    await until(lambda: model.left == left + 1, "the model is told to stop")


async def test_a_generator_that_dies_after_the_first_words_leaves_them_and_says_why(
    mortal: Platform, caller: Caller
) -> None:
    streaming = caller.stream(QUESTION, **GATED)
    await first_words(streaming)
    mortal.kill("generator")
    rest = [event async for event in streaming]
    assert rest[-1].incomplete.reason == "DEPENDENCY_DOWN"
    search = await caller.search(QUESTION)
    assert list(search.provenance.degraded) == []


async def test_time_that_runs_out_while_words_come_leaves_them_and_says_why(
    mortal: Platform, caller: Caller
) -> None:
    streaming = caller.stream(QUESTION, timeout=3, **GATED)
    await first_words(streaming)
    rest = [event async for event in streaming]
    assert rest[-1].incomplete.reason == "BUDGET_EXHAUSTED"


async def test_a_full_embedding_queue_reaches_the_caller_with_a_time_to_come_back(
    mortal: Platform, caller: Caller
) -> None:
    """With more searches under way than the gateway would let in by itself."""
    small = {"embedder": {"EMBEDDER_QUEUE_TEXTS": "1"}, "gateway": {"GATEWAY_SEARCHES": "1000"}}
    for name, settings in small.items():
        await asyncio.to_thread(mortal.stop, name)
        mortal.begin(name, **settings)
    await revive(mortal)
    try:
        assert await refused_of_a_burst(caller)
    finally:
        for name in small:
            await asyncio.to_thread(mortal.stop, name)


async def test_searches_that_would_wait_too_long_are_refused_with_a_time_to_come_back(
    mortal: Platform, caller: Caller
) -> None:
    await asyncio.to_thread(mortal.stop, "gateway")
    mortal.begin("gateway", GATEWAY_SEARCHES="3", GATEWAY_SEARCH_WAIT="0.02")
    await revive(mortal)
    try:
        await caller.search("창고")
        failed = await refused_of_a_burst(caller)
        page = await asyncio.to_thread(read_metrics, mortal)
        assert f'rag_searches_refused_total{{service="gateway"}} {float(failed)}' in page
    finally:
        await asyncio.to_thread(mortal.stop, "gateway")
        await revive(mortal)


def read_metrics(platform: Platform) -> str:
    url = f"http://127.0.0.1:{platform.specs['gateway'].http_port}/metrics"
    return httpx.get(url, trust_env=False).text
