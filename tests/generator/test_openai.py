"""The adapter to OpenAI-compatible servers, against a real one and against one that fails by script."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from rag_common import errors
from rag_generator.adapters.openai import OpenAIModel, OpenAIServer
from rag_generator.core import Finish
from rag_generator.settings import Settings
from tests.generator import smol
from tests.generator.neighbour import Reply, ScriptedServer, finish, refusal, serving, words

_KEY = "the-real-server's-key"
_OK = Reply(events=(*words("It is", " 15 days."), *finish("stop")))


def adapter(
    url: str, *, key: str = _KEY, first: float = 30, silence: float = 30, retries: int = 2
) -> OpenAIServer:
    return OpenAIServer(
        url,
        lambda: key,
        connect_timeout=3,
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

    async def writing(self) -> bool:
        """Whether it is at work on an answer."""
        headers = {"authorization": f"Bearer {_KEY}"}
        async with httpx2.AsyncClient(headers=headers) as client:
            slots = (await client.get(f"{self.url}/slots")).json()
        return any(slot["is_processing"] for slot in slots)


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
    pieces = await smol.written(model, "What is the capital of France?", 24)
    assert "Paris" in smol.text(pieces)
    assert len(pieces) > 5
    assert pieces[-1].text == ""
    assert pieces[-1].finish in (Finish.STOP, Finish.LENGTH)
    assert pieces[-1].input_tokens > 5
    assert 5 < pieces[-1].output_tokens <= 24


async def test_a_real_server_stops_at_the_most_tokens(model: OpenAIModel) -> None:
    last = (await smol.written(model, "Tell me a long story.", 8))[-1]
    assert (last.finish, last.output_tokens) == (Finish.LENGTH, 8)


async def test_leaving_stops_a_real_server(real: RealServer, model: OpenAIModel) -> None:
    async with aclosing(model.write("", "Tell a long story.", smol.sampling(1500))) as pieces:
        await anext(pieces)
        assert await real.writing()
    async with asyncio.timeout(60):
        while await real.writing():
            pass


async def test_a_real_servers_context_is_a_limit(model: OpenAIModel) -> None:
    with pytest.raises(errors.InputTooLong):
        await smol.written(model, "word " * 4000, 8)


async def test_a_wrong_key_is_our_fault_and_not_the_callers(real: RealServer) -> None:
    async with adapter(f"{real.url}/v1", key="wrong") as server:
        with pytest.raises(errors.Unavailable, match="refuses our key") as caught:
            await smol.written(server.model("smol", 2048), "Hello", 8)
    assert caught.value.retry_after is None
    assert "wrong" not in caught.value.message


async def test_what_is_asked_for_is_sent() -> None:
    async with serving(_OK) as server, adapter(server.url) as reached:
        model = reached.model("m", 4096)
        async with aclosing(model.write("Be short.", "Why?", smol.sampling(9, seed=3))) as pieces:
            assert [piece.text async for piece in pieces][:2] == ["It is", " 15 days."]
    asked = server.requests[0]
    assert asked["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Why?"},
    ]
    assert (asked["max_tokens"], asked["seed"], asked["temperature"]) == (9, 3, 0.0)
    assert asked["stream_options"] == {"include_usage": True}


async def test_no_seed_sends_none() -> None:
    async with serving(_OK) as server, adapter(server.url) as reached:
        model = reached.model("m", 4096)
        async with aclosing(model.write("", "Why?", smol.sampling(9, seed=None))) as pieces:
            await anext(pieces)
    assert "seed" not in server.requests[0]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("content_filter", Finish.CONTENT_FILTER),
        ("eos_token", Finish.STOP),
    ],
)
async def test_the_reason_for_stopping_is_passed_on(said: str, meant: Finish) -> None:
    reply = Reply(events=(*words("a"), *finish(said)))
    async with serving(reply) as server, adapter(server.url) as reached:
        last = (await smol.written(reached.model("m", 4096), "Why?", 9))[-1]
    assert last.finish is meant


async def test_a_server_that_does_not_count_gives_zeros() -> None:
    async with serving(_OK) as server, adapter(server.url) as reached:
        last = (await smol.written(reached.model("m", 4096), "Why?", 9))[-1]
    assert (last.input_tokens, last.output_tokens) == (0, 0)


async def test_a_server_that_fails_twice_is_asked_again() -> None:
    async with serving(refusal(500), refusal(503), _OK) as server:
        assert await answer(server) == "It is 15 days."
    assert len(server.requests) == 3


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


async def test_a_long_wait_is_left_to_the_caller() -> None:
    async with serving(refusal(429, "retry-after: 60"), _OK) as server:
        with pytest.raises(errors.ResourceExhausted) as caught:
            await answer(server)
    assert caught.value.retry_after == 60
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(401), errors.Unavailable),
        (refusal(403), errors.Unavailable),
        (refusal(404), errors.ModelNotFound),
        (refusal(400, code="context_length_exceeded"), errors.InputTooLong),
        (refusal(400, message="This model's maximum context length is 8"), errors.InputTooLong),
        (refusal(413), errors.InputTooLong),
        (refusal(422), errors.InvalidArgument),
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
        async with OpenAIServer(
            url,
            lambda: _KEY,
            connect_timeout=0.5,
            first_token_timeout=30,
            silence_timeout=30,
            retries=5,
        ) as reached:
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


async def test_a_try_that_would_come_after_the_time_of_the_first_word_is_not_waited_for() -> None:
    async with serving(refusal(429, "retry-after: 2"), _OK) as server:
        with pytest.raises(errors.ResourceExhausted):
            await answer(server, first=1)
    assert len(server.requests) == 1


def test_by_default_a_call_has_time_left_after_a_silent_model() -> None:
    told = Settings()
    assert told.openai_first_token_timeout <= told.default_deadline / 2


async def test_silence_in_the_middle_ends_the_answer_and_the_connection() -> None:
    async with serving(Reply(events=words("It"), then="hang")) as server:
        with pytest.raises(errors.DeadlineExceeded) as caught:
            await answer(server, silence=0.3)
        await server.left.wait()
    assert caught.value.metadata["stage"] == "generate"


async def test_pings_are_silence() -> None:
    async with serving(Reply(events=words("It"), then="ping")) as server:
        with pytest.raises(errors.DeadlineExceeded):
            await answer(server, silence=0.3)


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


async def test_leaving_closes_the_connection() -> None:
    async with (
        serving(Reply(events=words("It"), then="hang")) as server,
        adapter(server.url) as reached,
    ):
        pieces = reached.model("m", 4096).write("", "Why?", smol.sampling(9))
        assert (await anext(pieces)).text == "It"
        await pieces.aclose()
        await server.left.wait()


async def test_cancelling_closes_the_connection() -> None:
    async with serving(Reply(then="hang")) as server, adapter(server.url) as reached:
        task = asyncio.create_task(smol.written(reached.model("m", 4096), "Why?", 9))
        async with asyncio.timeout(20):
            await server.asked.wait()
            task.cancel()
            await server.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_key_that_is_replaced_is_sent_from_the_next_call_on() -> None:
    keys = iter(["old", "new"])
    async with serving(_OK) as server:
        reached = OpenAIServer(
            server.url,
            lambda: next(keys),
            connect_timeout=3,
            first_token_timeout=30,
            silence_timeout=30,
            retries=0,
        )
        async with reached:
            for _ in range(2):
                await smol.written(reached.model("m", 4096), "How long?", 16)
    assert server.keys == ["old", "new"]
