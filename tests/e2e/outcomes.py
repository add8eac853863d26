"""What callers are told who bring the same document at the same time."""

import asyncio

from tests.e2e.callers import CREATED, REPLACED, UNCHANGED, Caller

FIRST, SECOND = "연차 휴가는 15일입니다.", "연차 휴가는 20일입니다."


async def same_content_at_once(caller: Caller) -> None:
    """Eight callers bring a new document, then eight the same new version of it: one each changes it."""
    for text, changed in ((FIRST, CREATED), (SECOND, REPLACED)):
        done = await asyncio.gather(*(caller.ingest("leave", text) for _ in range(8)))
        outcomes = [one.outcome for one in done]
        assert (outcomes.count(changed), outcomes.count(UNCHANGED)) == (1, 7)
        stored = await caller.get("leave")
        assert all(one.document == stored for one in done)
