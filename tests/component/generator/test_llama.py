"""A real GGUF model in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from rag_common.observability import setup
from rag_common.settings import SettingsInvalid
from rag_contract import errors
from rag_generator.llm.model import Finish
from tests.support.generator import smol
from tests.support.generator.service import receiving, span
from tests.support.parts import require
from tests.support.receiver import attributes

require("xllamacpp", "make llama, or make test")

from rag_generator.llm.llama import LlamaModel  # noqa: E402 - not without the part

_STORY = "Tell me a long story about a lighthouse."


def llama(path: Path, parallel: int = 2) -> LlamaModel:
    # Two threads that share a busy core wait for each other: ten times slower than one.
    return LlamaModel(path, "smol", context_tokens=2048, threads=1, parallel=parallel)


@pytest.fixture(scope="module")
async def model() -> AsyncIterator[LlamaModel]:
    async with llama(smol.gguf()) as opened:
        yield opened


async def test_words_stream_and_are_counted(model: LlamaModel) -> None:
    pieces = await smol.written(model, "What is the capital of France?", 24)
    assert "Paris" in smol.text(pieces)
    assert len(pieces) > 5
    assert pieces[-1].input_tokens > 5


async def test_writing_stops_at_the_most_tokens(model: LlamaModel) -> None:
    last = (await smol.written(model, _STORY, 8))[-1]
    assert (last.finish, last.output_tokens) == (Finish.LENGTH, 8)


async def test_the_likeliest_words_are_the_same_each_time(model: LlamaModel) -> None:
    first, second = [smol.text(await smol.written(model, _STORY, 24)) for _ in range(2)]
    assert first == second


async def test_two_answers_are_written_side_by_side(model: LlamaModel) -> None:
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(aclosing(model.write("", _STORY, smol.sampling(400))))
            for _ in range(2)
        ]
        for _ in range(3):
            for stream in streams:
                assert (await anext(stream)).finish is None


async def test_closing_frees_the_turn(model: LlamaModel) -> None:
    for _ in range(4):
        async with aclosing(model.write("", _STORY, smol.sampling(1500))) as pieces:
            await anext(pieces)
    assert (await smol.written(model, _STORY, 4))[-1].finish is Finish.LENGTH


async def test_cancelling_in_the_prompt_frees_the_turn(model: LlamaModel) -> None:
    tasks = [asyncio.create_task(smol.written(model, "word " * 1500, 400)) for _ in range(2)]
    await asyncio.wait(tasks, timeout=0.2)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert (await smol.written(model, _STORY, 4))[-1].finish is Finish.LENGTH


async def test_too_many_waiting_are_refused_and_the_others_answered() -> None:
    async with llama(smol.gguf(), parallel=1) as model:
        async with aclosing(model.write("", _STORY, smol.sampling(1500))) as writing:
            await anext(writing)
            tasks = [asyncio.create_task(smol.written(model, "Hi", 2)) for _ in range(5)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        *answers, refused = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(refused, errors.ResourceExhausted)
    assert refused.retry_after
    assert all(isinstance(answer, list) for answer in answers)


async def test_an_answer_is_a_span_and_waiting_for_a_turn_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving(monkeypatch) as receiver:
        reported = setup.configure("generator", "1")
        async with llama(smol.gguf(), parallel=1) as model:
            with reported.serving("call", None, {}):
                async with aclosing(model.write("", _STORY, smol.sampling(1500))) as writing:
                    await anext(writing)
                    waiting = asyncio.create_task(smol.written(model, "Hi", 2))
                    await asyncio.sleep(0)
                await waiting
        reported.close()
        queue = await span(receiver, "llama.queue")
        chats = [one for one in receiver.spans("rag-generator") if one.name == "chat smol"]
    assert [chat.status.message for chat in chats] == ["CANCELLED", ""]
    assert queue.end_time_unix_nano <= chats[1].start_time_unix_nano
    told_of = attributes(chats[1])
    assert told_of["gen_ai.provider.name"] == "llama.cpp"
    assert told_of["gen_ai.usage.output_tokens"] == 2
    assert "server.address" not in told_of


async def test_a_prompt_over_the_context_is_refused(model: LlamaModel) -> None:
    with pytest.raises(errors.InputTooLong):
        await smol.written(model, "word " * 4000, 4)


@pytest.mark.parametrize("content", [b"", b"not a model", b"GGUF" + bytes(64), None])
async def test_a_bad_file_is_reported_by_the_name_of_its_setting(
    tmp_path: Path, content: bytes | None
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(smol.gguf().read_bytes()[:50_000_000] if content is None else content)
    with pytest.raises(SettingsInvalid, match=r"GENERATOR_LLAMA_MODEL .*bad\.gguf"):
        async with llama(bad):
            pass


async def test_a_context_that_the_model_does_not_have_is_told() -> None:
    with pytest.raises(SettingsInvalid, match=r"GENERATOR_LLAMA_CONTEXT_TOKENS .* 8192"):
        async with LlamaModel(smol.gguf(), "smol", context_tokens=9000, threads=1, parallel=1):
            pass


async def test_the_engine_prints_nothing_and_uses_no_proxy(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with llama(smol.gguf()) as model:
        assert (await smol.written(model, "Hi", 2))[-1].output_tokens
    assert capfd.readouterr() == ("", "")
