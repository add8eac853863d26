"""What is done to the platform so that an alarm comes, and undone so that it ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from tests.e2e.callers import Caller, refusal
from tests.e2e.trusted import TrustedPlatform, let_leaves_live

# Fewer texts than callers: the queue stays full while all of them ask.
QUEUE_TEXTS, ASKING = 8, 24
SETTINGS = {
    "EMBEDDER_QUEUE_TEXTS": str(QUEUE_TEXTS),
    "GATEWAY_SEARCHES": str(2 * ASKING),
    # No language model: nobody asks one here.
    "GENERATOR_OPENAI_MODELS": "",
}
# As many tokens as the model takes, so that a text is a tenth of a second's work.
_LONG = "Which rules of the warehouse in Paju are about the night shift and its gate? " * 24
_LEAST_WAIT = 0.05


@asynccontextmanager
async def embedder_killed(trusted: TrustedPlatform) -> AsyncIterator[float]:
    """The embedder is gone, as after an end by the kernel; it is started again afterwards."""
    since = time.time()
    await asyncio.to_thread(trusted.platform.kill, "embedder")
    try:
        yield since
    finally:
        await asyncio.to_thread(trusted.platform.revive)


@asynccontextmanager
async def redis_cut(trusted: TrustedPlatform) -> AsyncIterator[float]:
    """Redis is away; nobody calls meanwhile."""
    since = time.time()
    async with trusted.without_redis():
        yield since


@asynccontextmanager
async def vault_sealed(trusted: TrustedPlatform) -> AsyncIterator[float]:
    """Vault is there and sealed."""
    since = time.time()
    await asyncio.to_thread(trusted.vault.root().sys.seal)
    try:
        yield since
    finally:
        await asyncio.to_thread(trusted.vault.server.unseal)


class Expiry:
    """Vault renews the gateway's certificate no more, whose life is so many seconds.

    The promise counts from when a fifth of its life is left.
    """

    def __init__(self, life: float) -> None:
        self._life = life

    @asynccontextmanager
    async def __call__(self, trusted: TrustedPlatform) -> AsyncIterator[float]:
        """Certificates live for a week afterwards."""
        pki = trusted.vault.root().secrets.pki
        await asyncio.to_thread(pki.delete_role, "gateway", mount_point="pki")
        try:
            yield trusted.issued("gateway")[-1] - 0.2 * self._life
        finally:
            await asyncio.to_thread(let_leaves_live, trusted.vault, "168h")


@asynccontextmanager
async def queue_filled(trusted: TrustedPlatform) -> AsyncIterator[float]:
    """More people search at once than the embedder's queue takes; those who are refused come back."""
    async with trusted.channel("gateway", await trusted.identity("operator")) as channel:
        caller = Caller(channel, await trusted.token())
        refused = asyncio.Event()
        since = time.time()
        async with asyncio.TaskGroup() as asking:
            tasks = [asking.create_task(_ask(caller, refused)) for _ in range(ASKING)]
            try:
                yield since
                assert refused.is_set(), "no text was refused: the queue was never full"
            finally:
                for task in tasks:
                    task.cancel()


async def _ask(caller: Caller, refused: asyncio.Event) -> None:
    """Search again and again; come back when a refusal says so."""
    while True:
        try:
            await caller.search(_LONG)
        except grpc.aio.AioRpcError as error:
            output = refusal(error)
            if output.reason != "QUEUE_FULL":
                raise
            refused.set()
            await asyncio.sleep(max(output.retry_after or 0.0, _LEAST_WAIT))
