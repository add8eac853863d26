"""Streamed answers, in both flavours of the client."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

import grpc
import pytest

from rag.gateway.v1 import answer_service_pb2 as answers
from rag_client import Client
from rag_client.client.aio import AsyncClient
from rag_client.models.events import Completed, Delta, Retrieved, Started
from rag_contract import errors
from tests.support.client import replies
from tests.support.client.neighbour import Neighbour, PlainRefusal, Silence

Call = Callable[..., Any]
DOWN = PlainRefusal(grpc.StatusCode.UNAVAILABLE)


def test_an_answer_comes_as_typed_events(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("StreamAnswer", replies.events())
    events = call("stream_answer", "연차는?")
    assert [type(event) for event in events] == [Started, Retrieved, Delta, Delta, Completed]
    assert events[-1].answer.citations[0].quote == "연차는 15일이다."
    assert events[-1].answer.timings == {"total": 0.0125}


def test_an_event_of_a_newer_gateway_is_passed_over(neighbour: Neighbour, call: Call) -> None:
    newer = answers.StreamAnswerResponse()
    neighbour.says("StreamAnswer", [newer, *replies.events()])
    assert len(call("stream_answer", "연차는?")) == 5


def test_a_stream_is_tried_again_before_its_first_event(neighbour: Neighbour, call: Call) -> None:
    neighbour.says("StreamAnswer", DOWN, replies.events())
    assert isinstance(call("stream_answer", "연차는?")[-1], Completed)
    assert len(neighbour.heard) == 2


def test_a_stream_is_not_tried_again_after_its_first_event(
    neighbour: Neighbour, call: Call
) -> None:
    neighbour.says("StreamAnswer", [replies.events()[0], DOWN], replies.events())
    with pytest.raises(errors.Unavailable):
        call("stream_answer", "연차는?")
    assert len(neighbour.heard) == 1


def test_closing_the_events_of_a_given_channel_cancels_the_call(
    neighbour: Neighbour, target: str
) -> None:
    silence = Silence()
    neighbour.says("StreamAnswer", [replies.events()[0], silence])
    with (
        grpc.insecure_channel(target) as channel,
        Client(channel=channel) as client,
        closing(client.stream_answer("연차는?")) as events,
    ):
        next(events)
        assert silence.begun.wait(10)
        events.close()
        assert silence.ended.wait(10)


async def test_closing_the_async_events_cancels_the_call(neighbour: Neighbour, target: str) -> None:
    silence = Silence()
    neighbour.says("StreamAnswer", [replies.events()[0], silence])
    async with AsyncClient(target) as client:
        events = client.stream_answer("연차는?")
        await anext(events)
        assert await asyncio.to_thread(silence.begun.wait, 10)
        await events.aclose()
    assert silence.ended.wait(10)
