"""One tenant's callers in a process of their own: TENANT CALLERS COLLECTION NICE, to JSON.

Says `running` once under way, and goes on until its input ends.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import uvloop

from rag_client import calls, requests
from rag_client.channel import Gateway
from rag_client.load.wording import questions
from rag_client.procedures import SEARCH
from rag_client.signing import Claims, FreshToken, load_key

_WARM_UP = 1.0
_REST = 0.05
_TIMEOUT = 60.0


class Callers:
    """A closed loop of searches: when each ended, in seconds of the machine's clock, and how long it took."""

    def __init__(self, channel: grpc.aio.Channel, token: FreshToken, collection: str) -> None:
        self._call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            SEARCH.path
        )
        self._token = token
        self._collection = collection
        self._questions: Iterator[str] = questions()
        self.ended: list[tuple[float, float]] = []
        self.errors: Counter[str] = Counter()

    async def run(self, callers: int, stop: asyncio.Event) -> None:
        """Call until told to stop."""
        await asyncio.gather(*(self._caller(stop) for _ in range(callers)))

    async def _caller(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            request = requests.search(next(self._questions), {"collections": [self._collection]})
            metadata = calls.metadata(self._token(), {})
            began = time.monotonic()
            try:
                content = request.SerializeToString()
                await self._call(content, timeout=_TIMEOUT, metadata=metadata)
            except grpc.RpcError as error:
                failure = calls.failure(error)
                self.errors[failure.reason] += 1
                await asyncio.sleep(failure.retry_after or _REST)
                continue
            now = time.monotonic()
            self.ended.append((now, now - began))


async def main(tenant: str, callers: int, collection: str) -> None:
    key = load_key(Path(os.environ["RAG_HOME"]) / "keys" / "dev.pem")
    token = FreshToken(key, Claims(tenant))
    stop = asyncio.Event()
    async with Gateway(os.environ["RAG_TARGET"]).open_async() as channel:
        load = Callers(channel, token, collection)
        running = asyncio.create_task(load.run(callers, stop))
        await asyncio.sleep(_WARM_UP)
        began = time.monotonic()
        print("running", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        found = {
            "began": began,
            "until": time.monotonic(),
            "ended": load.ended,
            "errors": load.errors,
        }
        stop.set()
        await running
    print(json.dumps(found))


if __name__ == "__main__":
    os.nice(int(sys.argv[4]))
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
