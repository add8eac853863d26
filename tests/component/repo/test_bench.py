"""The benchmark's parts by name, the page that each part writes its tables into, and what it is made of."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from tools.bench import __main__ as bench
from tools.bench import load, parts, tracing
from tools.bench.growth import Growth
from tools.bench.parts import PARTS, Options, Part, Write, chosen
from tools.bench.report import baseline_rows, growth_rows, rendered, updated
from tools.bench.result import Percentiles, Result
from tools.bench.search import Measured
from tools.bench.turns import Cost, Searches, cpu_seconds, in_turns, memory_mib, used_since
from tools.bench.wording import passages, questions

from rag_edge.render import DESCRIPTORS
from rag_local.service_processes import StartFailed
from tests.support.parts import tool

ROOT = Path(__file__).resolve().parents[3]
NAMES = [part.name for part in PARTS]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("", NAMES),
        (" , ", NAMES),
        ("growth", ["growth"]),
        ("tracing,search", ["search", "tracing"]),
        (" growth , growth,", ["growth"]),
        (",".join(NAMES), NAMES),
        ("load", ["load"]),
        ("faults,growth", ["growth", "faults"]),
    ],
)
def test_parts_are_chosen_by_name_in_the_order_of_the_page(names: str, expected: list[str]) -> None:
    assert [part.name for part in chosen(names)] == expected


@pytest.mark.parametrize("names", ["grwth", "growth,nothing", "Growth", "growth search"])
def test_an_unknown_part_is_refused_with_the_list_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--part", names])
    assert bench.main() == 2
    error = capsys.readouterr().err
    assert "there is no part" in error
    assert all(name in error for name in NAMES)


def test_with_a_baseline_only_searches_are_compared(tmp_path: Path) -> None:
    assert [part.name for part in chosen("", tmp_path)] == ["search"]
    with pytest.raises(ValueError, match="growth"):
        chosen("growth", tmp_path)


def test_a_baseline_without_an_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"\.venv/bin/python"), parts.checkout(tmp_path, tmp_path):
        pass


def test_a_table_takes_the_place_of_the_one_of_its_title_and_leaves_the_rest_and_the_prose() -> (
    None
):
    page = (ROOT / "docs/benchmarks.md").read_text("utf-8")
    changed = updated(page, {"Ingest": rendered([{"a": 1.25, "b": "x"}])})
    assert "| a | b |\n| --- | --- |\n| 1.2 | x |\n\n## Services\n" in changed
    assert "\n## Ingest\n\nMeasured on " in changed
    assert changed.split("## Ingest")[0] == page.split("## Ingest")[0]
    assert changed.split("## Services")[1] == page.split("## Services")[1]
    assert updated(changed, {}) == changed
    prose = page.split("## Services\n")[1].split("Measured on ")[0]
    changed = updated(page, {"Services": "Measured on a day.\n\n| a |"})
    assert f"## Services\n{prose}Measured on a day.\n\n| a |\n" in changed


def test_a_section_without_a_table_gets_one_below_its_prose() -> None:
    page = "# Page\n\n## First\n\nProse.\n\n## Second\n\nMeasured on a day.\n\n| a |\n"
    written = "# Page\n\n## First\n\nProse.\n\n{}\n\n## Second\n\nMeasured on a day.\n\n| a |\n"
    changed = updated(page, {"First": "Measured on a day.\n\n| b |"})
    assert changed == written.format("Measured on a day.\n\n| b |")
    assert updated(changed, {"First": "Measured later."}) == written.format("Measured later.")


def test_a_title_that_the_page_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError):
        updated("", {"Growth": "text"})


@pytest.fixture
def measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    """Runs these parts without a model, one of which fails; returns the page and what was printed."""
    monkeypatch.setattr(bench, "prepare_model", lambda: None)
    monkeypatch.setattr(sys, "argv", ["bench", str(tmp_path / "page.md")])
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EMBEDDER_MODELS_DIR", str(tmp_path))
    monkeypatch.chdir(ROOT)

    def run(*parts_: Part) -> tuple[str, str]:
        monkeypatch.setattr(parts, "PARTS", parts_)
        assert bench.main() == 1
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".md"] == ["page.md"]
        return (tmp_path / "page.md").read_text("utf-8"), capsys.readouterr().err

    return run


def writing(title: str, cell: str) -> Callable[[Options, Write], None]:
    """A part that writes a table of this cell."""
    return lambda _options, write: write({title: [{"rows": cell}]})


def test_what_was_measured_is_kept_when_a_later_measurement_fails(
    measure: Callable[..., tuple[str, str]],
) -> None:
    def fails(_options: Options, write: Write) -> None:
        write({"A growing index": [{"rows": "grown"}]})
        raise StartFailed("port 50051, which the gateway needs, is taken")

    page, error = measure(
        Part("first", "one thing", writing("Ingest", "ingested")),
        Part("second", "another", fails),
        Part("third", "never", writing("Services", "never")),
    )
    assert "| ingested |" in page
    assert "| grown |" in page
    assert "| never |" not in page
    assert "[1/3] first: done" in error
    assert "[2/3] second: another" in error
    assert "port 50051" in error


@pytest.mark.parametrize(
    ("version", "advice"),
    [
        ((3, 14), "no package for Python 3.14"),
        ((3, 15), "no package for Python 3.15"),
        ((3, 13), "`make test` installs it"),
    ],
)
def test_parts_are_left_out_by_name_if_their_collector_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
    measure: Callable[..., tuple[str, str]],
    version: tuple[int, int],
    advice: str,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    page, error = measure(
        *(part for part in PARTS if part.name in ("users", "tracing")),
        Part("last", "one thing", writing("Services", "measured")),
    )
    assert "users is left out: rotel is not installed" in error
    assert "tracing is left out: rotel is not installed" in error
    assert advice in error
    assert error.endswith("not measured: users, tracing\n")
    assert "| measured |" in page


def test_the_pythons_without_a_collector_are_those_of_the_list_of_packages() -> None:
    (rotel,) = re.findall(
        r"^rotel==.*python_full_version < '([0-9.]+)'",
        (ROOT / "requirements/test.txt").read_text("utf-8"), re.MULTILINE,
    )  # fmt: skip
    assert tuple(int(number) for number in rotel.split(".")) == tracing.ROTEL_BEFORE


SLOW, QUICK = Percentiles(60, 54.1, 61.0, 70.0), Percentiles(60, 14.9, 17.2, 20.0)


@pytest.mark.parametrize(
    ("growth", "row"),
    [
        (
            Growth("Edge", 10_000, 10_000, 5.0, 9.0, SLOW, QUICK, 8192, 3072),
            "| Edge | 10,000 | 10,000 | 2000 | 9 | 54.1 | 61.0 | 14.9 | 17.2 | 8.0 | 3.0 |",
        ),
        (
            Growth("server", 200, 200, 1.0, None, QUICK, QUICK, 1024, 1024),
            "| server | 200 | 200 | 200 | — | 14.9 | 17.2 | 14.9 | 17.2 | 1.0 | 1.0 |",
        ),
    ],
    ids=["graph", "no graph"],
)
def test_growth_is_a_row_for_each_size(growth: Growth, row: str) -> None:
    assert rendered(list(growth_rows([growth]))).splitlines()[-1] == row


def searches(rate: float, cpu: float) -> Searches:
    return Searches(rate, QUICK, 0, {"gateway": cpu})


def test_a_cost_is_compared_round_by_round() -> None:
    alone = searches(10, 10.0)
    plain = Cost("plain", [searches(100, 10.0), searches(50, 20.0)], alone)
    edge = Cost("edge", [searches(90, 11.0), searches(45, 21.0)], alone)
    assert edge.over(plain).mean == pytest.approx(1.0)
    assert edge.over(plain).error == pytest.approx(0.0)
    assert edge.slower(plain).mean == pytest.approx(10.0)


def test_every_figure_is_divided_by_the_baselines() -> None:
    def measured(factor: float) -> Measured:
        fill = Result(2.0, {"passages": int(100 * factor)}, {})
        rounds = [searches(100 * factor, 10 / factor), searches(50 * factor, 12 / factor)]
        stream = Result(1.0, {}, {"first_event": QUICK, "latency": QUICK})
        each = {"gateway": factor}
        return Measured([fill, fill], {1: rounds}, {1: [stream, stream]}, each, each, each)

    rows = {str(row["figure"]): row for row in baseline_rows(measured(2.0), measured(1.0))}
    assert rows["search, 1 at once: searches/s"]["ratio"] == "2.000 ± 0.000"
    assert rows["search, 1 at once: CPU ms/search"]["ratio"] == "0.500 ± 0.000"
    assert rows["search, 1 at once: p95 ms"]["ratio"] == "1.000 ± 0.000"
    assert rows["ingest: passages/s"] == {
        "figure": "ingest: passages/s", "baseline": "50.00", "this checkout": "100.00",
        "ratio": "2.000 ± 0.000",
    }  # fmt: skip
    assert rows["memory: MiB"]["ratio"] == "2.000"


def test_every_round_begins_with_another_one() -> None:
    order: list[str] = []

    def measure(name: str) -> int:
        order.append(name)
        return len(order)

    assert in_turns(["a", "b"], measure, 2) == [[1, 4], [2, 3]]
    assert order == ["a", "b", "b", "a"]


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    result = Percentiles.of([float(n) for n in range(1, 101)])
    assert (result.count, result.p50, result.p95, result.p99) == (100, 50.0, 95.0, 99.0)


def test_questions_and_passages_are_all_different() -> None:
    assert len(set(islice(questions(), 50_000))) == 50_000
    assert len(set(islice(passages(), 500))) == 500


def test_a_process_has_used_time_and_memory() -> None:
    own = {"self": os.getpid()}
    before = cpu_seconds(own)
    assert before["self"] > 0
    assert used_since(before, own)["self"] < before["self"]
    assert memory_mib(own)["self"] > 1
    with pytest.raises(ProcessLookupError, match="4194999"):
        cpu_seconds({"nobody": 4_194_999})


@pytest.mark.parametrize("script", sorted(path.name for path in (load.SCRIPTS).glob("*.js")))
def test_k6_reads_each_script(tmp_path: Path, script: str) -> None:
    k6 = tool("k6", "make test")
    for kind in ("texts", "tokens"):
        (tmp_path / f"{kind}.json").write_text('["one"]')
    plan = {
        "texts": str(tmp_path / "texts.json"),
        "tokens": str(tmp_path / "tokens.json"),
        "descriptors": str(DESCRIPTORS),
        "callers": 1,
        "seconds": 1,
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    command = [k6, "inspect", "-e", f"PLAN={tmp_path / 'plan.json'}", str(load.SCRIPTS / script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scenarios"]["load"]["vus"] == 1
