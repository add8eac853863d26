"""Working on a stream a few items at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from rag_embedder.api.servicer import map_ordered


async def numbers(count: int) -> AsyncIterator[int]:
    for n in range(count):
        yield n


async def same(n: int) -> int:
    return n


async def test_results_are_in_the_order_of_the_items() -> None:
    done = [asyncio.Event() for _ in range(4)]
    done[3].set()

    async def backwards(n: int) -> int:
        await done[n].wait()
        if n:
            done[n - 1].set()
        return n

    assert [n async for n in map_ordered(numbers(4), backwards, 4)] == [0, 1, 2, 3]


async def test_as_many_are_worked_on_as_allowed_and_no_more() -> None:
    working: set[int] = set()
    together: list[int] = []
    full = asyncio.Event()

    async def counted(n: int) -> int:
        working.add(n)
        together.append(len(working))
        if len(working) == 2:
            full.set()
        await full.wait()
        working.remove(n)
        return n

    assert [n async for n in map_ordered(numbers(20), counted, 2)] == list(range(20))
    assert max(together) == 2


async def test_an_error_of_the_work_is_raised_after_the_results_before_it() -> None:
    async def brittle(n: int) -> int:
        if n == 2:
            raise ValueError("two")
        return n

    got = []

    async def collect() -> None:
        async for n in map_ordered(numbers(5), brittle, 2):
            got.append(n)

    with pytest.raises(ValueError, match="two"):
        await collect()
    assert got == [0, 1]


async def test_an_error_of_the_items_is_raised() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 0
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        _ = [n async for n in map_ordered(broken(), same, 2)]


async def test_leaving_ends_the_work() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def second_hangs(n: int) -> int:
        try:
            if n == 1:
                begun.set()
                await asyncio.Event().wait()
            await begun.wait()
        except asyncio.CancelledError:
            ended.set()
            raise
        return n

    async def endless() -> AsyncIterator[int]:
        yield 0
        yield 1
        await asyncio.Event().wait()

    async with aclosing(map_ordered(endless(), second_hangs, 2)) as results:
        assert await anext(results) == 0
    assert ended.is_set()
