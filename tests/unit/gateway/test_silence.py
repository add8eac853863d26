"""Silence in a stream: told while it lasts, and left without a trace."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rag_common.aio import with_heartbeats
from rag_contract import errors
from rag_gateway.answering.fair_semaphore import FairSemaphore
from rag_gateway.answering.model import Generation, Question, Retrieval, Support
from rag_gateway.answering.service import AnsweringService, TextDelta
from tests.support.gateway.fakes import FakeEmbedding, FakeSearching, FakeWriting

QUESTION = Question("what?", Retrieval(), Generation(), Support())


def answering(writing: FakeWriting) -> AnsweringService:
    return AnsweringService(FakeEmbedding(), FakeSearching(), writing, FairSemaphore(6))


async def gated(gate: asyncio.Event) -> AsyncIterator[str]:
    yield "first"
    await gate.wait()
    yield "second"


async def test_silence_is_told_until_something_comes() -> None:
    """The source is let go only after two silences were told, so that no time is guessed."""
    gate = asyncio.Event()
    heard: list[str | None] = []
    async for event in with_heartbeats(gated(gate), 0.001):
        heard.append(event)
        if heard.count(None) == 2:
            gate.set()
    reported = [event for event in heard if event]
    assert reported == ["first", "second"]
    assert heard[:3] == ["first", None, None]


async def test_without_silence_nothing_is_added() -> None:
    gate = asyncio.Event()
    gate.set()
    assert [event async for event in with_heartbeats(gated(gate), 60)] == ["first", "second"]


async def test_leaving_a_silent_stream_ends_what_it_waits_for() -> None:
    writing = FakeWriting(go=asyncio.Event())
    timed = with_heartbeats(answering(writing).stream("kim", QUESTION), 0.001)
    async for event in timed:
        if event is None:
            break
    await timed.aclose()
    assert writing.closed


async def test_an_error_in_a_silent_stream_comes_out() -> None:
    writing = FakeWriting([TextDelta("do")], error=errors.DependencyDown("away"))
    timed = with_heartbeats(answering(writing).stream("kim", QUESTION), 60)
    await anext(timed)
    assert await anext(timed) == TextDelta("do")
    with pytest.raises(errors.Unavailable):
        await anext(timed)
