"""The global entry sends clients to the nearest healthy region, and to the next one if it dies."""

import asyncio
import signal
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import httpx
import pytest

from rag_common.settings import SettingsInvalid
from rag_edge.global_entry import EntryConfig, render
from rag_local.certificate_authority import Authority
from tests.support.edge.entry import Entry, LightRegion, entry, two_regions
from tests.support.edge.reads import reading
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy" / "global"
PRODUCTION = DEPLOY / "production.toml"
FAILOVER_SECONDS = 10.0


async def all_healthy(placed: Entry, *regions: LightRegion) -> None:
    """Wait until the entry takes exactly these regions for healthy."""
    ports = {one.edge.port for one in regions}
    await until(lambda: placed.healthy() == ports, "the entry knows which regions are healthy")


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "silent"])
async def test_the_next_region_serves_within_ten_seconds_and_the_first_again_when_it_is_back(
    tmp_path: Path, fault: signal.Signals, record_property: Callable[[str, object], None]
) -> None:
    async with two_regions(tmp_path) as (placed, near, far, signer):
        await all_healthy(placed, near, far)
        async with reading(placed.port, near.edge, signer.token()) as reads:
            await until(lambda: len(reads.answers) > 100, "the near region serves")
            assert reads.regions(0) == {"near"}
            died = time.monotonic()
            near.signal(fault)
            await until(lambda: reads.first_from("far", died) < 60, "the far region serves")
            await all_healthy(placed, far)
            moved = time.monotonic()
            count = len(reads.answers)
            await until(lambda: len(reads.answers) > count + 100, "it goes on serving")
            assert reads.regions(moved) == {"far"}
            await revive(near, fault)
            await all_healthy(placed, near, far)
        assert [right for _, _, right in reads.answers].count(False) == 0
        record_property("failover_seconds", round(reads.first_from("far", died), 2))
        record_property("failed_reads", len(reads.failures))
        record_property("last_failure", round(max(reads.failures, default=died) - died, 2))
        assert reads.first_from("far", died) < FAILOVER_SECONDS
        assert not [at for at in reads.failures if at < died or at > died + FAILOVER_SECONDS]
        back = time.monotonic()
        async with reading(placed.port, near.edge, signer.token()) as reads:
            await until(lambda: len(reads.answers) > 50, "new clients are served")
        assert reads.regions(back) == {"near"}
        assert not reads.failures


async def revive(region: LightRegion, fault: signal.Signals) -> None:
    """Undo the fault."""
    if fault is signal.SIGSTOP:
        region.signal(signal.SIGCONT)
        return
    await asyncio.to_thread(region.edge.process.wait)
    await asyncio.to_thread(region.edge.restart)


async def test_a_region_whose_gateways_are_not_ready_gets_no_clients(tmp_path: Path) -> None:
    async with two_regions(tmp_path) as (placed, near, far, signer):
        await all_healthy(placed, near, far)
        near.gateway.ready = False
        await all_healthy(placed, far)
        began = time.monotonic()
        async with reading(placed.port, near.edge, signer.token()) as reads:
            await until(lambda: len(reads.answers) > 20, "the far region serves")
        assert reads.regions(began) == {"far"}


async def test_without_a_healthy_region_clients_are_refused_at_once(tmp_path: Path) -> None:
    async with two_regions(tmp_path) as (placed, near, far, _):
        near.gateway.ready = far.gateway.ready = False
        await all_healthy(placed)
        trust = ssl.create_default_context(cafile=str(near.edge.ca))
        began = time.monotonic()
        async with httpx.AsyncClient(verify=trust, timeout=10) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"https://localhost:{placed.port}/health/live")
        assert time.monotonic() - began < 5


async def test_tls_ends_in_the_region(tmp_path: Path) -> None:
    """The certificate that a client sees is the region's, and the entry has none."""
    async with two_regions(tmp_path) as (placed, near, far, _):
        await all_healthy(placed, near, far)
        seen = [
            await asyncio.to_thread(certificate, port) for port in (placed.port, near.edge.port)
        ]
        assert seen[0] == seen[1]
        assert "tls_certificate" not in (placed.folder / "envoy.yaml").read_text()


def certificate(port: int, name: str = "localhost") -> bytes:
    """The certificate that is shown to who asks for that name. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname=name) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b""


async def test_other_names_are_not_passed_on(tmp_path: Path) -> None:
    async with two_regions(tmp_path) as (placed, near, far, _):
        await all_healthy(placed, near, far)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(certificate, placed.port, "elsewhere.example")
        assert await asyncio.to_thread(certificate, placed.port)


async def test_a_region_whose_certificate_is_not_trusted_is_not_healthy(tmp_path: Path) -> None:
    async with two_regions(tmp_path) as (_, near, far, _):
        places = [(one.name, one.edge.port) for one in (near, far)]
        foreign = tmp_path / "foreign"
        with entry(foreign, places, Authority(foreign / "authority").roots) as placed:
            failing = "cluster.regions.health_check.failure"
            await until(lambda: placed.stats().get(failing, 0) >= 4, "both were checked twice")
            assert placed.healthy() == set()


async def test_a_line_for_each_connection_names_its_region(tmp_path: Path) -> None:
    async with two_regions(tmp_path) as (placed, near, far, signer):
        await all_healthy(placed, near, far)
        async with reading(placed.port, near.edge, signer.token()) as reads:
            await until(lambda: len(reads.answers) > 20, "some answers")
        await until(lambda: len(placed.connections()) >= 8, "the lines are written")
        assert {one["region"] for one in placed.connections()} == {"near"}


def test_what_is_shipped_is_what_the_values_come_to() -> None:
    shipped = (DEPLOY / "production" / "envoy.yaml").read_text("utf-8")
    command = (
        "python -m rag_edge.global_entry deploy/global/production.toml deploy/global/production"
    )
    assert shipped == render(EntryConfig.load(PRODUCTION)), f"run: {command}"


def test_the_readme_lists_every_value() -> None:
    text = (DEPLOY / "README.md").read_text("utf-8")
    names = [one.name for one in fields(EntryConfig)]
    assert not [name for name in names if f"| `{name}` |" not in text]


def test_the_nearest_region_is_first_and_the_others_keep_their_order() -> None:
    loaded = EntryConfig.load(PRODUCTION)
    other = replace(loaded, nearest="eu-central-1")
    assert [one.name for one in loaded.by_priority] == [one.name for one in loaded.regions]
    names = [one.name for one in other.by_priority]
    assert names == ["eu-central-1", "ap-northeast-2", "us-east-1"]


REGION = '[[regions]]\nname = "a"\nedges = ["a:1"]\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('server_name = "a"\nregions = []', "regions"),
        (f'server_name = "a"\nnearest = "b"\n{REGION}', "none of the regions"),
        (f'server_name = "a"\n{REGION}{REGION}', "must differ"),
        (f'server_name = ""\n{REGION}', "server_name"),
        (f'server_name = "a"\nnearset = "a"\n{REGION}', "nearset"),
    ],
)
def test_an_invalid_value_is_reported(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "values.toml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid, match=sentence):
        EntryConfig.load(path)
