"""`rag top`: what services show on their real pages, as rates between two looks."""

import json
import math
import os
import pty
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rag_cli.main import app
from rag_cli.observe.samples import SampleDelta, Samples, samples
from rag_cli.observe.scrape import parse_targets
from rag_cli.render.rates import format_seconds
from rag_common.http.pages import Page, Pages, serve_http
from rag_common.observability.metrics import Metrics
from tests.support.client.fixtures import start_rag
from tests.support.client.threads import in_thread

SEARCH = "rag.gateway.v1.AnswerService/Search"
CALLS = "rag_rpc_server_duration_seconds"


def rag(*words: str) -> Result:
    return CliRunner().invoke(app, ["top", *words])


class Shown:
    """A service's real metrics page; `act` happens each time it is fetched, before it is made."""

    def __init__(
        self, name: str = "gateway", act: Callable[["Shown"], None] = lambda _: None
    ) -> None:
        self.name = name
        self.metrics = Metrics(name, "1")
        self.state: dict[str, Any] = {"status": "serving", "checks": {}}
        self._act = act

    def pages(self) -> Pages:
        real = self.metrics.pages()["/metrics"]

        async def metrics() -> Page:
            self._act(self)
            return await real()

        async def ready() -> Page:
            status = 503 if self.state["status"] == "not_serving" else 200
            return Page(json.dumps(self.state).encode(), status=status)

        return {"/metrics": metrics, "/health/ready": ready}

    def call(self, seconds: float, code: str = "OK", times: int = 1) -> None:
        for _ in range(times):
            self.metrics.calls.labels(SEARCH, code, "", "").observe(seconds)


@contextmanager
def listening(pages: Pages, name: str = "gateway") -> Iterator[str]:
    """The pages on a port, as the command wants them named."""
    with in_thread(serve_http("127.0.0.1", 0, pages)) as url:
        yield f"{name}={url}"


def once(*shown: Shown) -> Result:
    with ExitStack() as stack:
        urls = [stack.enter_context(listening(each.pages(), each.name)) for each in shown]
        return rag(
            "--once", "--interval", "0.5", *(word for url in urls for word in ("--url", url))
        )


def row(result: Result, *words: str) -> list[str]:
    """The words of the one line that has all of these."""
    [found] = [line for line in result.stdout.splitlines() if all(word in line for word in words)]
    return found.split()


def test_a_service_on_this_machine_is_a_row_fetched_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    shown = Shown()
    shown.metrics.in_flight.set(3)
    shown.metrics.capacity.set(256)
    result = once(shown)
    assert result.exit_code == 0, result.stdout
    words = row(result, "gateway", "serving")
    assert "3/256" in words
    processor, memory = (float(word.replace(",", "")) for word in words[7:9])
    assert 0 <= processor <= 100 * (os.cpu_count() or 1)
    assert memory > 10


def test_rates_are_what_happened_between_the_looks() -> None:
    def act(shown: Shown) -> None:
        shown.call(0.02, times=40)
        shown.call(0.3, "UNAVAILABLE", times=10)

    result = once(Shown(act=act))
    assert result.exit_code == 0, result.stderr
    name, state, calls, errors, *_ = row(result, "gateway", "serving")
    assert (name, state) == ("gateway", "serving")
    # Fifty calls in half a second or a little more.
    assert 50 <= float(calls) <= 100
    assert float(calls) == pytest.approx(5 * float(errors), rel=0.02)
    assert row(result, "AnswerService/Search")[-2:] == ["10", "UNAVAILABLE"]


def test_times_are_of_the_calls_between_the_looks() -> None:
    slow_at_first = iter([(50.0, 1000), (0.02, 100)])

    def act(shown: Shown) -> None:
        seconds, times = next(slow_at_first)
        shown.call(seconds, times=times)

    result = once(Shown(act=act))
    *_, p50, _, p95, unit = row(result, "AnswerService/Search")
    assert unit == "ms"
    assert 10 <= float(p50) < float(p95) <= 25


def test_refusals_and_lost_telemetry_are_told_by_reason() -> None:
    def act(shown: Shown) -> None:
        shown.metrics.refusals.labels("RATE_LIMITED").inc(7)
        shown.metrics.telemetry_dropped.labels("traces", "full").inc(3)

    result = once(Shown(act=act))
    assert "gateway: refused 7 RATE_LIMITED" in result.stdout
    assert "gateway: telemetry lost, 3 traces" in result.stdout


def test_queues_are_shown_with_their_room_and_the_oldest() -> None:
    shown = Shown("embedder")
    metrics = shown.metrics
    texts = metrics.gauge("rag_embed_queue_texts", "texts", ("priority",))
    texts.labels("query").set(3)
    texts.labels("document").set(40)
    metrics.gauge("rag_embed_queue_capacity", "most").set(2048)
    metrics.gauge("rag_embed_queue_oldest_seconds", "oldest").set(0.31)
    assert row(once(shown), "texts to embed")[4:] == ["43", "2,048", "310", "ms"]


def test_checks_that_fail_are_named_with_their_error() -> None:
    shown = Shown()
    shown.state = {
        "status": "not_serving",
        "checks": {
            "embedder": {"kind": "need", "ok": False, "error": "DEPENDENCY_DOWN"},
            "keys": {"kind": "need", "ok": True},
        },
    }
    result = once(shown)
    assert row(result, "gateway", "not_serving")
    assert "gateway: check embedder (need) fails: DEPENDENCY_DOWN" in result.stdout
    assert "keys" not in result.stdout
    assert result.exit_code == 0


def test_a_service_that_does_not_answer_is_a_row_and_a_failure() -> None:
    with listening(Shown().pages()) as url:
        words = ("--url", url, "--url", "embedder=http://127.0.0.1:1")
        result = rag("--once", "--interval", "0.2", *words)
    assert row(result, "embedder", "no answer")
    assert row(result, "gateway", "serving")
    assert (
        "embedder: http://127.0.0.1:1/metrics does not answer: Connection refused" in result.stdout
    )
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "page",
    [Page(b"<html>", media_type="text/html"), Page(b"\xff\xfe"), Page(b"", status=500)],
    ids=["html", "bytes", "status"],
)
def test_a_page_that_holds_no_metrics_is_a_row_and_a_failure(page: Page) -> None:
    async def show() -> Page:
        return page

    with listening({"/metrics": show, "/health/ready": show}) as url:
        result = rag("--once", "--interval", "0.2", "--url", url)
    assert row(result, "gateway", "no answer")
    assert result.exit_code == 1


def test_a_page_in_prometheus_older_form_is_read_too() -> None:
    async def show() -> Page:
        text = b"# TYPE rag_rpc_server_in_flight gauge\nrag_rpc_server_in_flight 4\n"
        return Page(text, media_type="text/plain; version=0.0.4")

    with listening({"/metrics": show}) as url:
        result = rag("--once", "--interval", "0.2", "--url", url)
    assert "4" in row(result, "gateway", "0.0")
    assert result.exit_code == 0


def test_a_pipe_gets_plain_lines_of_a_hundred_cells() -> None:
    def act(shown: Shown) -> None:
        shown.call(123.4, "UNAVAILABLE", times=10_000)

    result = once(Shown(act=act), Shown("embedder"))
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert result.stdout.count("service ") == 2


@pytest.mark.parametrize("text", ["gateway", "gateway=ftp://a", "=http://a", "a=http://h:port"])
def test_what_is_no_target_is_said_so(text: str) -> None:
    result = rag("--once", "--url", text)
    assert (result.exit_code, result.stderr) == (
        1,
        f"rag: {text!r} is not service=http://host:port\n",
    )


def test_targets_may_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(Shown().pages(), "one") as one, listening(Shown().pages(), "two") as two:
        monkeypatch.setenv("RAG_METRICS_URLS", f"{one},{two}")
        result = rag("--once", "--interval", "0.2")
    assert row(result, "one", "serving")
    assert row(result, "two", "serving")


def test_without_targets_it_looks_at_the_four_services_of_this_machine() -> None:
    result = {target.name: target.url for target in parse_targets([])}
    assert result["gateway"] == "http://127.0.0.1:50071"
    assert list(result) == ["gateway", "embedder", "retriever", "generator", "ingestor"]
    assert parse_targets(["http://10.0.0.1:9/"])[0].name == "10.0.0.1:9"


async def looked(metrics: Metrics, at: float) -> Samples:
    page = await metrics.pages()["/metrics"]()
    return samples(page.body.decode(), page.media_type, at)


async def test_a_process_that_began_anew_counts_from_nought() -> None:
    before, after = Shown(), Shown()
    before.call(0.02, times=100)
    after.call(0.02, times=5)
    since = SampleDelta(await looked(before.metrics, 1.0), await looked(after.metrics, 2.0))
    assert since.increase_by(f"{CALLS}_count", "code") == {"OK": 5}
    assert since.quantile(0.5, CALLS) is not None


async def test_a_quantile_lies_within_its_bucket() -> None:
    shown = Shown()
    before = await looked(shown.metrics, 1.0)
    shown.call(0.03, times=90)
    shown.call(0.3, times=10)
    since = SampleDelta(before, await looked(shown.metrics, 2.0))
    assert since.quantile(0.5, CALLS) == pytest.approx(0.025 + 0.025 * 50 / 90)
    assert since.quantile(0.95, CALLS) == pytest.approx(0.35)


async def test_above_the_last_bucket_no_time_is_known() -> None:
    shown = Shown()
    before = await looked(shown.metrics, 1.0)
    assert SampleDelta(before, before).quantile(0.5, CALLS) is None
    shown.call(1000)
    since = SampleDelta(before, await looked(shown.metrics, 2.0))
    assert since.quantile(0.5, CALLS) == math.inf
    assert format_seconds(math.inf) == "too long"


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_an_interrupt_ends_it_well(terminal: bool) -> None:
    fetched = threading.Semaphore(0)
    shown = Shown(act=lambda _: fetched.release())
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with listening(shown.pages()) as url, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_all, ours)
        process = start_rag("top", "--interval", "0.1", "--url", url, stdout=theirs)
        os.close(theirs)
        for _ in range(4):
            assert fetched.acquire(timeout=30)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
        output = reading.result(10)
    assert (process.returncode, complaint) == (0, "")
    assert b"gateway" in output
    # A terminal is given back as it was.
    assert (b"\x1b[?1049l" in output) == terminal


def read_all(descriptor: int) -> bytes:
    """All that is written until the other end is closed, which a terminal tells by an error."""
    output = b""
    with suppress(OSError):
        while part := os.read(descriptor, 65_536):
            output += part
    os.close(descriptor)
    return output
