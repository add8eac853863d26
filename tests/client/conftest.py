"""A neighbour for each test, and the client in both its flavours."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from rag_client.aio import AsyncClient
from rag_client.calls import Retries
from rag_client.sync import Client

from tests.client.neighbour import Neighbour, listening

AT_ONCE = Retries(first_wait=0.0)


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


@pytest.fixture
def target(neighbour: Neighbour) -> Iterator[str]:
    with listening(neighbour) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, target: str) -> Callable[..., Any]:
    """Calls a method of the client by name, in either flavour; a stream comes back as a list."""
    return _call_sync(target) if request.param == "sync" else _call_async(target)


def _call_sync(target: str) -> Callable[..., Any]:
    def run(method: str, *arguments: Any, **options: Any) -> Any:
        with Client(target, token="the-token", retries=AT_ONCE) as client:
            result = getattr(client, method)(*arguments, **options)
            return list(result) if isinstance(result, Iterator) else result

    return run


def _call_async(target: str) -> Callable[..., Any]:
    def run(method: str, *arguments: Any, **options: Any) -> Any:
        return asyncio.run(_awaited(target, method, *arguments, **options))

    return run


async def _awaited(target: str, method: str, *arguments: Any, **options: Any) -> Any:
    async with AsyncClient(target, token="the-token", retries=AT_ONCE) as client:
        result = getattr(client, method)(*arguments, **options)
        if isinstance(result, AsyncIterator):
            return [item async for item in result]
        return await result
