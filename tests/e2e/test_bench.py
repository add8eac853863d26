"""`make bench`: parts from start to end, and every way of stopping it leaves no process."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tools.bench.bare_hops import bare_hops
from tools.bench.turns import searches

from rag_local.program import StartFailed
from rag_local.service_processes import require_free
from tests.e2e.conftest import ROOT
from tests.support.processes import alive, arguments
from tests.support.waiting import until

# The ports of `make run` are fixed: one worker has them.
pytestmark = pytest.mark.xdist_group("fixed ports")

BENCH = [sys.executable, "-m", "tools.bench", "--part"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of the run's own; the ports, which are fixed, must be free."""
    try:
        require_free()
    except StartFailed as error:
        pytest.fail(f"`make bench` has fixed ports, and {error}", pytrace=False)
    return tmp_path / "home"


@contextmanager
def running(
    command: list[str], home: Path, models: Path, **bench: str
) -> Iterator["subprocess.Popen[bytes]"]:
    settings = {"RAG_HOME": str(home), "EMBEDDER_MODELS_DIR": str(models), **bench}
    with (
        (home.parent / "said").open("wb") as said,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=said,
            stderr=said,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            for pid in started(home):
                os.kill(pid, signal.SIGKILL)


def installed() -> list[str]:
    """Options by which make takes every part of the environment as installed: it runs these tests."""
    stamps = re.findall(r"^\$\(VENV\)/(\.\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert ".test" in stamps
    return [option for stamp in stamps for option in ("-o", f".venv/{stamp}")]


def test_make_installs_nothing_before_a_benchmark_of_the_tests() -> None:
    make = shutil.which("make")
    assert make, "make is not installed"
    command = [make, *installed(), "--dry-run", "bench", "PART=growth"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "tools.bench" in shown
    assert "setup.sh" not in shown


def said(home: Path) -> str:
    return (home.parent / "said").read_text("utf-8")


def started(home: Path) -> list[int]:
    """Every process that runs with this folder in its environment."""
    mark = f"RAG_HOME={home}".encode()
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return alive([pid for pid in pids if mark in environment(pid)])


def environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def services(home: Path) -> int:
    """How many services run that were started below this folder."""
    names = {"rag_embedder", "rag_retriever", "rag_generator", "rag_gateway"}
    return sum(not names.isdisjoint(arguments(pid)) for pid in started(home))


def rows(page: Path, title: str) -> list[list[str]]:
    """The cells of the table below this heading, without those of its head."""
    section = page.read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [line.strip("| ").split(" | ") for line in lines]


def connections_to(port: int) -> int:
    """How many connections from 127.0.0.1 to this port there are, closed ones of the last minute included."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        own.startswith("0100007F:") and peer.endswith(f":{port:04X}") for _, own, peer, *_ in lines
    )


def test_bare_hops_are_measured_by_process_and_leave_the_ports_of_127_0_0_1_free(
    tmp_path: Path,
) -> None:
    with bare_hops(tmp_path) as hops:
        port = int(hops.gateway.target.rpartition(":")[2])
        before = connections_to(port)
        found = searches(hops, 8, 1.0)
        assert connections_to(port) <= before
    assert found.errors == 0
    assert found.latency.count > 0
    assert found.parts.keys() == {"gateway", "embedder", "retriever"}
    assert found.parts["gateway"] > 0
    assert not alive(list(hops.pids.values()))


async def test_users_are_written_at_once_and_the_next_measurement_is_stopped_with_all_it_started(
    home: Path, models: Path
) -> None:
    page, step = home.parent / "page.md", "users, 30 at once"
    with running([*BENCH, "users", str(page)], home, models, BENCH_SECONDS="0.24") as process:
        await until(lambda: said(home).count(step) == 2, "users connect again", seconds=200)
        process.send_signal(signal.SIGINT)
        await until(lambda: process.poll() is not None, "it has ended", seconds=120)
        await until(lambda: not started(home), "nothing of it runs", seconds=60)
    assert "stopped by SIGINT" in said(home)
    [[users, connecting, questions, *_, errors]] = rows(page, "1,000 users")
    assert [users, connecting, questions] == ["30", "before, over 1 s", "180"]
    # On a machine with other work, the gateway refuses questions that would wait for long.
    assert 0 <= int(errors) < 180


@pytest.mark.long
async def test_searches_are_measured_in_both_precisions(home: Path, models: Path) -> None:
    page = home.parent / "page.md"
    with running([*BENCH, "search,fp32", str(page)], home, models, BENCH_SECONDS="1") as process:
        await until(lambda: process.poll() is not None, "the parts are done", seconds=400)
        assert process.returncode == 0, said(home)
    for title in ("Three bare hops", "Search through the gateway", "Search in fp32"):
        assert [row[0] for row in rows(page, title)] == ["1", "32", "256"]
        assert [row[5] for row in rows(page, title)] == ["0", "0", "0"]


# From 5,000 passages on, it waits for a search graph.
@pytest.mark.long
@pytest.mark.parametrize("size", [600, 6000])
async def test_the_growth_part_is_measured_and_written(home: Path, models: Path, size: int) -> None:
    page = home.parent / "page.md"
    sizes = f"300,{size}"
    with running([*BENCH, "growth", str(page)], home, models, BENCH_SIZES=sizes) as process:
        await until(lambda: process.poll() is not None, "the part is done", seconds=400)
        assert process.returncode == 0, said(home)
        await until(lambda: not started(home), "every process has ended")
    engines = ["Edge", "server"] if os.environ.get("QDRANT_SERVER") else ["Edge"]
    bulks = [["300", "300"], [f"{size:,}", f"{size - 300:,}"]]
    found = rows(page, "A growing index")
    assert [row[:3] for row in found] == [[name, *bulk] for name in engines for bulk in bulks]
    assert all(float(cell) > 0 for row in found for cell in row[-2:])
    assert "[1/1] growth" in said(home)
    assert not (home / "bench").exists()


@pytest.mark.long
async def test_a_short_sustained_load_is_measured_and_its_overload_is_shed(
    home: Path, models: Path
) -> None:
    page, figures = home.parent / "page.md", home.parent / "load.json"
    bench = {"DURATION": "10", "LOAD_JSON": str(figures)}
    with running([*BENCH, "load", str(page)], home, models, **bench) as process:
        await until(lambda: process.poll() is not None, "the part is done", seconds=400)
        assert process.returncode == 0, said(home)
        await until(lambda: not started(home), "every process has ended")
    found = json.loads(figures.read_text())
    assert found["users"] == 167
    assert found["errors"] == found["errors_overload"] == 0
    assert found["shed"] > 0
    assert found["memory"].keys() >= {"gateway", "embedder", "retriever", "envoy", "redis"}
    normal, overload = rows(page, "Sustained load")
    assert (normal[0], overload[0]) == ("normal", "overload")
    assert len(rows(page, "Memory under sustained load")) == len(found["memory"])


@pytest.mark.long
async def test_killed_processes_are_counted_by_fault_and_restarted(
    home: Path, models: Path
) -> None:
    page, figures = home.parent / "page.md", home.parent / "faults.json"
    bench = {"DURATION": "75", "INTERVAL": "25", "FAULTS_JSON": str(figures)}
    with running([*BENCH, "faults", str(page)], home, models, **bench) as process:
        await until(lambda: process.poll() is not None, "the part is done", seconds=600)
        assert process.returncode == 0, said(home)
        await until(lambda: not started(home), "every process has ended")
    found = json.loads(figures.read_text())
    assert [one["target"] for one in found["faults"]] == ["gateway", "gateway-2", "embedder"]
    # There is one embedder: without it there are no answers until it is back.
    assert found["faults"][2]["failed"]["Search"] > 0
    assert [row[0] for row in rows(page, "Killed processes")] == [
        "gateway",
        "gateway-2",
        "embedder",
    ]
    assert "the embedder is healthy again" in said(home)


@pytest.mark.parametrize(
    ("number", "ready", "through_make"),
    [
        pytest.param(
            signal.SIGTERM,
            "passages: writing",
            True,
            id="make, SIGTERM, measuring",
            marks=pytest.mark.long,
        ),
        pytest.param(signal.SIGINT, "", False, id="SIGINT, starting"),
    ],
)
async def test_a_stopped_benchmark_leaves_no_process(
    home: Path, models: Path, number: signal.Signals, ready: str, through_make: bool
) -> None:
    page = (ROOT / "docs/benchmarks.md").read_bytes()
    make = shutil.which("make")
    assert make or not through_make, "make is not installed"
    through = [str(make), *installed(), "bench", "PART=growth"]
    command = through if through_make else [*BENCH, "growth"]
    with running(command, home, models, BENCH_SIZES="1000000") as process:
        await until(lambda: services(home) == 4, "the services are started", seconds=200)
        await until(lambda: ready in said(home), "it measures", seconds=200)
        process.send_signal(number)
        await until(lambda: process.poll() is not None, "it has ended", seconds=120)
        await until(lambda: not started(home), "nothing of it runs", seconds=60)
    assert f"stopped by {number.name}" in said(home)
    assert process.returncode != 0
    assert (ROOT / "docs/benchmarks.md").read_bytes() == page
    require_free()
