"""The adapter to OpenAI-compatible servers, against a real one and against one that fails by script."""

import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from rag_contract import errors
from rag_generator.llm.model import Finish
from rag_generator.llm.openai import OpenAIModel, OpenAIServer
from rag_generator.settings import Settings
from tests.support.generator import smol
from tests.support.generator.neighbour import Reply, ScriptedServer, finish, refusal, serving, words
from tests.support.waiting import until

_KEY = "the-real-server's-key"
_OK = Reply(events=(*words("It is", " 15 days."), *finish("stop")))


def adapter(
    url: str,
    *,
    key: Callable[[], str] = lambda: _KEY,
    connect: float = 3,
    first: float = 30,
    silence: float = 30,
    retries: int = 2,
) -> OpenAIServer:
    return OpenAIServer(
        url,
        key,
        connect_timeout=connect,
        first_token_timeout=first,
        silence_timeout=silence,
        retries=retries,
    )


async def answer(server: ScriptedServer, **patience: Any) -> str:
    """The words of the scripted server's answer."""
    async with adapter(server.url, **patience) as reached:
        return smol.text(await smol.written(reached.model("m", 4096), "How long?", 16))


@dataclass(frozen=True)
class RealServer:
    """llama.cpp's own HTTP server with SmolLM2, one answer at a time, for as long as `engine` is held."""

    url: str
    engine: object

    async def idle(self) -> bool:
        """Whether it is writing no answer."""
        headers = {"authorization": f"Bearer {_KEY}"}
        async with httpx2.AsyncClient(headers=headers) as client:
            slots = (await client.get(f"{self.url}/slots")).json()
        return not any(slot["is_processing"] for slot in slots)


@pytest.fixture(scope="module")
def real() -> RealServer:
    path = smol.gguf()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [_KEY]
    params.n_ctx, params.n_parallel, params.verbosity = 2048, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.fit_params = False
    params.endpoint_slots = True
    server = xllamacpp.Server(params)
    return RealServer(server.listening_address, server)


@pytest.fixture
async def model(real: RealServer) -> AsyncIterator[OpenAIModel]:
    async with adapter(f"{real.url}/v1") as server:
        yield server.model("smol", 2048)


async def test_a_real_server_streams_words_and_counts_them(model: OpenAIModel) -> None:
    pieces = await smol.written(model, "What is the capital of France?", 7)
    assert "Paris" in smol.text(pieces)
    assert len(pieces) > 5
    last = pieces[-1]
    assert (last.text, last.finish, last.output_tokens) == ("", Finish.LENGTH, 7)
    assert last.input_tokens > 5


async def test_leaving_stops_a_real_server(real: RealServer, model: OpenAIModel) -> None:
    async with aclosing(model.write("", "Tell a long story.", smol.sampling(1500))) as pieces:
        await anext(pieces)
        assert not await real.idle()
    await until(real.idle, "it stops writing")


async def test_a_real_servers_context_is_a_limit(model: OpenAIModel) -> None:
    with pytest.raises(errors.InputTooLong):
        await smol.written(model, "word " * 4000, 8)


async def test_a_wrong_key_is_our_fault_and_not_the_callers(real: RealServer) -> None:
    async with adapter(f"{real.url}/v1", key=lambda: "wrong") as server:
        with pytest.raises(errors.Unavailable, match="rejects the platform") as caught:
            await smol.written(server.model("smol", 2048), "Hello", 8)
    assert caught.value.retry_after is None
    assert "wrong" not in caught.value.message


async def test_what_is_asked_for_is_sent() -> None:
    async with serving(_OK) as server, adapter(server.url) as reached:
        model = reached.model("m", 4096)
        for seed in (3, None):
            pieces = model.write("Be short.", "Why?", smol.sampling(9, seed))
            assert [piece.text async for piece in pieces][:2] == ["It is", " 15 days."]
    request, without_seed = server.requests
    assert request["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Why?"},
    ]
    assert (request["max_tokens"], request["seed"], request["temperature"]) == (9, 3, 0.0)
    assert request["stream_options"] == {"include_usage": True}
    assert "seed" not in without_seed


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("content_filter", Finish.CONTENT_FILTER),
        ("eos_token", Finish.STOP),
    ],
)
async def test_the_reason_for_stopping_is_passed_on_and_tokens_may_be_unknown(
    said: str, meant: Finish
) -> None:
    reply = Reply(events=(*words("a"), *finish(said)))
    async with serving(reply) as server, adapter(server.url) as reached:
        last = (await smol.written(reached.model("m", 4096), "Why?", 9))[-1]
    assert (last.finish, last.input_tokens, last.output_tokens) == (meant, 0, 0)


async def test_retries_end() -> None:
    async with serving(refusal(500)) as server:
        with pytest.raises(errors.Unavailable) as caught:
            await answer(server, retries=1)
    assert len(server.requests) == 2
    assert caught.value.metadata["peer"] == "llm"
    assert caught.value.retry_after
    assert "SECRET" not in caught.value.message


async def test_a_short_wait_that_the_server_asks_for_is_kept() -> None:
    async with serving(refusal(429, "retry-after: 1"), _OK) as server:
        assert await answer(server) == "It is 15 days."


@pytest.mark.parametrize(("seconds", "first"), [(60, 30), (2, 1)], ids=["long", "too late"])
async def test_a_wait_that_is_long_or_ends_after_the_time_of_the_first_word_is_left_to_the_caller(
    seconds: int, first: float
) -> None:
    async with serving(refusal(429, f"retry-after: {seconds}"), _OK) as server:
        with pytest.raises(errors.ResourceExhausted) as caught:
            await answer(server, first=first)
    assert caught.value.retry_after == seconds
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(401), errors.DependencyRefused),
        (refusal(403), errors.DependencyRefused),
        (refusal(404), errors.ModelNotFound),
        (refusal(400, code="context_length_exceeded"), errors.InputTooLong),
        (refusal(400, message="This model's maximum context length is 8"), errors.InputTooLong),
        (refusal(413), errors.InputTooLong),
        (refusal(422), errors.ModelRefused),
    ],
)
async def test_a_refusal_is_final_and_in_our_words(
    reply: Reply, kind: type[errors.AppError]
) -> None:
    async with serving(reply) as server:
        with pytest.raises(errors.AppError) as caught:
            await answer(server)
    assert type(caught.value) is kind
    assert len(server.requests) == 1
    assert "SECRET" not in caught.value.message
    assert caught.value.metadata["peer"] == "llm"


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with adapter(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", retries=1) as reached:
            with pytest.raises(errors.Unavailable) as caught:
                await smol.written(reached.model("m", 4096), "Why?", 9)
    assert caught.value.retry_after


async def test_a_server_out_of_reach_is_waited_for_once() -> None:
    with full() as url:
        began = time.monotonic()
        async with adapter(url, connect=0.5, retries=5) as reached:
            with pytest.raises(errors.Unavailable):
                await smol.written(reached.model("m", 4096), "Why?", 9)
    assert time.monotonic() - began < 2


@contextmanager
def full() -> Iterator[str]:
    """A server whose queue of connections is full: whoever comes now is neither let in nor refused."""
    with ExitStack() as stack:
        listening, *waiting = [stack.enter_context(socket.socket()) for _ in range(3)]
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest.mark.parametrize("events", [(), words("")], ids=["nothing", "a chunk without a word"])
async def test_silence_before_the_first_word_is_unavailable_and_not_tried_again(
    events: tuple[str, ...],
) -> None:
    async with serving(Reply(events=events, then="hang"), _OK) as server:
        with pytest.raises(errors.Unavailable) as caught:
            await answer(server, first=0.3)
        await server.left.wait()
    assert caught.value.metadata["peer"] == "llm"
    assert len(server.requests) == 1


def test_by_default_a_call_has_time_left_after_a_silent_model() -> None:
    reported = Settings()
    assert reported.openai_first_token_timeout <= reported.default_deadline / 2


@pytest.mark.parametrize("then", ["hang", "ping"])
async def test_silence_in_the_middle_ends_the_answer_and_the_connection(then: str) -> None:
    async with serving(Reply(events=words("It"), then=then)) as server:
        with pytest.raises(errors.DeadlineExceeded) as caught:
            await answer(server, silence=0.3)
        await server.left.wait()
    assert caught.value.metadata["stage"] == "generate"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(then="cut"),
        Reply(events=words("It is"), then="cut"),
        Reply(events=words("It is"), then="end"),
        Reply(events=(*words("It is"), 'data: {"choices": [{"del\n\n')),
        Reply(events=(*words("It is"), 'data: {"error": {"message": "SECRET"}}\n\n')),
        Reply(events=("data: 42\n\n", 'data: {"choices": [{}]}\n\n', "data: [DONE]\n\n")),
        Reply(headers=("content-type: text/html",), events=("<html>a proxy's page</html>",)),
    ],
    ids=[
        "cut at once",
        "cut",
        "no finish",
        "half an event",
        "an error in the stream",
        "no words",
        "no stream",
    ],
)
async def test_a_broken_answer_is_unavailable_and_not_asked_for_again(reply: Reply) -> None:
    async with serving(reply) as server:
        with pytest.raises(errors.Unavailable) as caught:
            await answer(server)
    assert len(server.requests) == 1
    assert "SECRET" not in caught.value.message


async def test_a_key_that_is_replaced_is_sent_from_the_next_call_on() -> None:
    keys = iter(["old", "new"])
    async with serving(_OK) as server, adapter(server.url, key=lambda: next(keys)) as reached:
        for _ in range(2):
            await smol.written(reached.model("m", 4096), "How long?", 16)
    assert server.keys == ["old", "new"]
