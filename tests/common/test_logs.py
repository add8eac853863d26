"""The one pipeline of log lines."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from rag_common.context import CALL, Call, Principal, Trace
from tests.rpc import logged

log = structlog.get_logger()


@contextmanager
def within(call: Call) -> Iterator[None]:
    token = CALL.set(call)
    yield
    CALL.reset(token)


async def test_a_line_has_its_event_level_time_service_and_facts() -> None:
    with logged() as lines:
        log.info("batch_full", size=3)
    [line] = lines.of("batch_full")
    assert line.keys() == {"event", "level", "timestamp", "service", "size"}
    assert (line["level"], line["service"], line["size"]) == ("info", "echo", 3)
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


async def test_inside_a_call_a_line_has_its_ids_and_tenant() -> None:
    principal = Principal("kim", "acme", frozenset())
    call = Call("r-1", Trace.new(), 0.0, principal=principal)
    with logged() as lines, within(call):
        log.info("found")
    [line] = lines.of("found")
    ids = (line["request_id"], line["trace_id"], line["tenant"])
    assert ids == ("r-1", call.trace.trace_id, "acme")
    assert "kim" not in lines.getvalue()


async def test_an_event_is_one_line_whatever_it_holds() -> None:
    with logged() as lines:
        log.info("odd", text="두 줄\n둘째", thing=object(), path=ValueError("x"))
    assert len(lines.getvalue().splitlines()) == 1
    assert lines.of("odd")[0]["text"] == "두 줄\n둘째"


async def test_an_exception_is_a_traceback_in_the_line() -> None:
    with logged() as lines:
        try:
            raise ValueError("deep down")
        except ValueError:
            log.exception("failed")
    [line] = lines.of("failed")
    assert line["level"] == "error"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: deep down")


async def test_what_is_below_the_level_is_left_out() -> None:
    with logged(level="warning") as lines:
        log.info("quiet")
        log.warning("loud")
    assert not lines.of("quiet")
    assert lines.of("loud")


async def test_libraries_go_through_the_same_pipeline() -> None:
    call = Call("r-2", Trace.new(), 0.0)
    with logged() as lines, within(call):
        logging.getLogger("qdrant_client").warning("retrying %s", "soon")
    [line] = lines.of("retrying soon")
    assert (line["level"], line["service"], line["request_id"]) == ("warning", "echo", "r-2")
    assert "timestamp" in line


async def test_a_librarys_exception_is_a_traceback_in_the_line() -> None:
    with logged() as lines:
        try:
            raise ValueError("deep down")
        except ValueError:
            logging.getLogger("asyncio").exception("task failed")
    [line] = lines.of("task failed")
    assert line["exception"].endswith("ValueError: deep down")


async def test_libraries_are_heard_from_warnings_on() -> None:
    with logged(level="debug") as lines:
        logging.getLogger("httpx").info("a request with its URL")
    assert not lines.getvalue()


async def test_a_task_that_fails_unseen_leaves_a_json_line() -> None:
    with logged() as lines:
        asyncio.get_running_loop().call_exception_handler({"message": "never retrieved"})
    assert lines.of("never retrieved")


async def test_the_console_form_is_for_people() -> None:
    with logged(form="console") as lines:
        log.info("batch_full", size=3)
    assert "batch_full" in lines.getvalue()
    assert not lines.getvalue().startswith("{")


async def test_the_last_configuration_counts_for_loggers_already_used() -> None:
    with logged() as first:
        log.info("one")
    with logged() as second:
        log.info("two")
    assert first.of("one")
    assert not first.of("two")
    assert second.of("two")


def test_off_a_terminal_the_form_is_json() -> None:
    program = (
        "import structlog; from rag_common import logs; "
        "logs.configure('shop'); structlog.get_logger().info('hello')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout)["event"] == "hello"
    assert not done.stderr
