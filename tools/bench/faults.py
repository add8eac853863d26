"""Processes killed one after the other under load: which calls fail, by method and by fault."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from rag_client.client.aio import AsyncClient
from rag_client.transport.calls import NEVER
from rag_contract.errors import AppError
from rag_local.platform import Components, Platform, platform
from rag_local.program import StartFailed
from rag_local.supervisor import Service, Supervisor, supervised
from tools.bench.ab_platforms import trusted_ways
from tools.bench.fault_budget import CallRecord, Fault, Kill, faults_of, kinds_of, month_of
from tools.bench.load import COLLECTION, Way, fill, new_questions, progress
from tools.bench.report import Row
from tools.bench.turns import PASSAGES

RATE = 20.0
TARGETS = ("gateway", "gateway-2", "embedder", "retriever", "generator", "ingestor", "redis")
# Of twenty calls, in this order.
_MIX = (
    *("Search", "StreamAnswer", "Search", "GetDocument", "Search") * 3,
    *("Search", "StreamAnswer", "Search", "IngestDocument", "Search"),
)
_TIMEOUT = 10.0
_RECOVERY_SECONDS = 120.0
_DOCUMENTS = 50
_TEXT = b"An employee has 15 days of annual leave, of which 5 may be carried over."


@dataclass(frozen=True, slots=True)
class Campaign:
    """A run: its length in seconds, its calls, and what each kill cost."""

    seconds: float
    calls: Sequence[CallRecord]
    faults: Sequence[Fault]

    @property
    def failed(self) -> int:
        """Calls that failed at any time."""
        return sum(bool(call.reason) for call in self.calls)


def campaign(home: Path, collector: str, seconds: float, interval: float) -> Campaign:
    """Kill one of TARGETS in the middle of each interval, in turn, under RATE calls a second.

    The platform is that of `make run` with Vault, Redis, Envoy and a second gateway; its supervisor
    restarts what was killed. Raises StartFailed if it does not recover.
    """
    parts = Components(vault=True, edge=True, collector=collector, gateways=2)
    with platform(home, parts=parts) as started:
        _, edge = trusted_ways(home, started)
        fill(edge, PASSAGES)
        with _supervised(started) as (supervisor, services):
            return asyncio.run(_campaign(edge, services, supervisor, seconds, interval))


@contextmanager
def _supervised(started: Platform) -> Iterator[tuple[Supervisor, Mapping[str, Service]]]:
    others: list[Service] = [one for one in (started.edge, started.redis) if one]
    with supervised(started.services, progress, others) as supervisor:
        yield supervisor, {one.name: one for one in (*started.services, *others)}


async def _campaign(
    way: Way,
    services: Mapping[str, Service],
    supervisor: Supervisor,
    seconds: float,
    interval: float,
) -> Campaign:
    channel = way.gateway.open_async()
    async with AsyncClient(
        channel=channel, token=way.token, retries=NEVER, timeout=_TIMEOUT
    ) as client:
        await _prepare(client)
        began = time.monotonic()
        killing = asyncio.create_task(_kill_all(services, supervisor, began, seconds, interval))
        try:
            calls = await call_steadily(client, began, seconds)
            kills = await killing
        finally:
            killing.cancel()
        await _recovered(supervisor, kills)
    return Campaign(seconds, calls, faults_of(kills, calls))


async def _prepare(client: AsyncClient) -> None:
    """Write the documents that are read and replaced."""
    for number in range(_DOCUMENTS):
        await client.ingest(_TEXT, collection=COLLECTION, document_id=_document(number))


def _document(number: int) -> str:
    return f"fault-{number % _DOCUMENTS}"


async def _kill_all(
    services: Mapping[str, Service],
    supervisor: Supervisor,
    began: float,
    seconds: float,
    interval: float,
) -> list[Kill]:
    kills: list[Kill] = []
    targets = cycle(TARGETS)
    for number in range(int(seconds / interval)):
        await asyncio.sleep(max(began + (number + 0.5) * interval - time.monotonic(), 0))
        await _recovered(supervisor, kills)
        name = next(targets)
        kills.append(Kill(time.monotonic() - began, name))
        progress(f"{kills[-1].at:.0f} s: killing {name}")
        services[name].process.kill()
    return kills


async def _recovered(supervisor: Supervisor, kills: Sequence[Kill]) -> None:
    """Return when everything runs again. Raises StartFailed."""
    if not await asyncio.to_thread(supervisor.wait_all_up, _RECOVERY_SECONDS):
        last = kills[-1].target if kills else "nothing"
        raise StartFailed(f"after {last} was killed, the platform did not recover")


async def call_steadily(client: AsyncClient, began: float, seconds: float) -> list[CallRecord]:
    """RATE calls a second in the proportions of the mix, each at its time whatever became of others."""
    texts = iter(new_questions(int(seconds * RATE) + 1))
    running: list[asyncio.Task[CallRecord]] = []
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * RATE)):
            due = number / RATE
            await asyncio.sleep(max(began + due - time.monotonic(), 0))
            method = _MIX[number % len(_MIX)]
            running.append(group.create_task(_call(client, method, next(texts), number, due)))
    return [task.result() for task in running]


async def _call(client: AsyncClient, method: str, text: str, number: int, due: float) -> CallRecord:
    try:
        await _CALLS[method](client, text, number)
    except AppError as error:
        return CallRecord(due, method, error.reason)
    return CallRecord(due, method, "")


async def _search(client: AsyncClient, text: str, _number: int) -> None:
    await client.search(text, collections=[COLLECTION])


async def _answer(client: AsyncClient, text: str, _number: int) -> None:
    async for _ in client.stream_answer(text, collections=[COLLECTION]):
        pass


async def _read(client: AsyncClient, _text: str, number: int) -> None:
    await client.get_document(_document(number), collection=COLLECTION)


async def _write(client: AsyncClient, text: str, number: int) -> None:
    content = _TEXT + text.encode()
    await client.ingest(content, collection=COLLECTION, document_id=_document(number))


_CALLS = {
    "Search": _search,
    "StreamAnswer": _answer,
    "GetDocument": _read,
    "IngestDocument": _write,
}


def fault_rows(found: Campaign) -> list[Row]:
    """A row for each target: its kills, the calls that failed, and for how long."""
    return [
        {
            "killed": kind.target,
            "times": len(kind.faults),
            "calls": sum(fault.calls for fault in kind.faults),
            **{f"failed {name}": kind.methods()[name] for name in _CALLS},
            "reasons": ", ".join(f"{name} {n}" for name, n in kind.reasons().most_common()) or "—",
            "failed a kill": kind.lost,
            "at most (95 %)": kind.upper,
            "last failure after s": kind.longest,
        }
        for kind in kinds_of(found.faults)
    ]


def month_rows(found: Campaign) -> list[Row]:
    """The run itself, and months in which every target is killed as often as stated."""
    kinds = kinds_of(found.faults)
    ran = {
        "": f"this run: {len(found.faults)} kills in {found.seconds:.0f} s",
        "available": _percent(1 - found.failed / len(found.calls)),
        "at least (95 %)": "",
        "kills of each that 99.9 % bears": "",
    }
    months = [month_of(kinds, RATE, faults) for faults in (1, 4, 30)]
    return [
        ran,
        *(
            {
                "": f"a month, each killed {month.faults} times",
                "available": _percent(month.availability),
                "at least (95 %)": _percent(month.worst),
                "kills of each that 99.9 % bears": f"{month.budget:.0f}",
            }
            for month in months
        ),
    ]


def _percent(share: float) -> str:
    return f"{share:.4%}"


def summary(found: Campaign) -> dict[str, object]:
    """The figures for programs; shares from 0 to 1."""
    kinds = kinds_of(found.faults)
    month = month_of(kinds, RATE)
    return {
        "seconds": found.seconds,
        "rate": RATE,
        "calls": len(found.calls),
        "failed": found.failed,
        "kills": len(found.faults),
        "faults": [
            {
                "target": kind.target,
                "kills": len(kind.faults),
                "failed": dict(kind.methods()),
                "reasons": dict(kind.reasons()),
                "failed_per_kill": round(kind.lost, 2),
                "failed_per_kill_upper": round(kind.upper, 2),
                "last_failure_seconds": round(kind.longest, 2),
            }
            for kind in kinds
        ],
        "month": {
            "kills_of_each": month.faults,
            "availability": month.availability,
            "availability_lower": month.worst,
        },
    }
