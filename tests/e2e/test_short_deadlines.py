"""Callers in haste cost the platform nothing of its availability, wherever their time ends."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from tests.e2e.callers import Caller
from tests.e2e.platform import Platform
from tests.support.waiting import until

QUESTION = "When does the warehouse open?"
DOCUMENT = "# Warehouse\n\nThe warehouse in Paju opens at seven in the morning.\n"
# From less than a call needs to begin, through the middle of its work, to more than a search takes.
SECONDS = (0.001, 0.005, 0.015, 0.021, 0.03, 0.05, 0.07, 0.09)
FAULTS = {"UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN", "DATA_LOSS"}


async def search(caller: Caller, seconds: float) -> None:
    await caller.search(QUESTION, timeout=seconds)


async def stream(caller: Caller, seconds: float) -> None:
    async for _ in caller.stream(QUESTION, timeout=seconds):
        pass


async def ingest(caller: Caller, seconds: float) -> None:
    stub: Any = DocumentServiceStub(caller.channel)
    spec = documents.DocumentSpec(document_id="hurried")
    request = documents.IngestDocumentRequest(document=spec, content=DOCUMENT.encode())
    await stub.IngestDocument(request, metadata=caller.metadata, timeout=seconds)


@pytest.mark.parametrize("act", [search, stream, ingest])
async def test_a_short_deadline_is_no_fault_of_the_platform(
    platform: Platform, caller: Caller, act: Callable[..., Awaitable[None]]
) -> None:
    await caller.ingest("warehouse", DOCUMENT)
    before = await ended(platform)
    codes = Counter([await code(act(caller, seconds)) for seconds in SECONDS * 3])
    assert codes["DEADLINE_EXCEEDED"] >= 3, codes
    after = await ended(platform)
    gateway, peers = after["server"] - before["server"], after["client"] - before["client"]
    assert [key for key in gateway + peers if key[0] in FAULTS and key[1] != "short"] == []
    assert sum(gateway.values()) > 0


async def code(call: Awaitable[None]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def ended(platform: Platform) -> dict[str, Counter[tuple[str, str]]]:
    """How many calls the gateway served and made, by code and `deadline`, once it serves none."""
    url = f"http://127.0.0.1:{platform.specs['gateway'].http_port}/metrics"
    async with httpx.AsyncClient(trust_env=False) as client:

        async def idle() -> str:
            page = (await client.get(url)).text
            return page if 'rag_rpc_server_in_flight{service="gateway"} 0.0' in page else ""

        page = await until(idle, "no call is being served")
    result: dict[str, Counter[tuple[str, str]]] = {"server": Counter(), "client": Counter()}
    for family in text_string_to_metric_families(page):
        for side, counts in result.items():
            for sample in family.samples:
                if sample.name == f"rag_rpc_{side}_duration_seconds_count":
                    key = sample.labels["code"], sample.labels["deadline"]
                    counts[key] += int(sample.value)
    return result


async def test_the_same_calls_count_where_no_deadline_is_short(
    platform: Platform, caller: Caller
) -> None:
    """What is excused is the haste: with time enough, each of them ends well."""
    await caller.ingest("warehouse", DOCUMENT)
    before = await ended(platform)
    calls = [act(caller, 30) for act in (search, stream)]
    assert set(await asyncio.gather(*map(code, calls))) == {"OK"}
    gateway = (await ended(platform))["server"] - before["server"]
    assert gateway[("OK", "")] >= len(calls)
