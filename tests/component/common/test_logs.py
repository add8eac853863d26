"""The one pipeline of log lines."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from rag_common.context import Call, Principal
from rag_common.observability import logging as logs
from tests.support.common.acts import within
from tests.support.rpc import logged
from tests.unit.common.test_redaction import MARKS

PLANTED = {label: marks[0] for label, marks in MARKS.items()}

log = structlog.get_logger()


async def test_a_line_has_its_event_level_time_service_and_facts() -> None:
    with logged() as lines:
        log.info("batch_full", size=3)
    [line] = lines.of("batch_full")
    assert line.keys() == {"event", "level", "timestamp", "service", "size"}
    assert (line["level"], line["service"], line["size"]) == ("info", "echo", 3)
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


async def test_inside_a_call_a_line_has_its_ids_and_tenant() -> None:
    principal = Principal("kim", "acme", frozenset())
    call = Call("r-1", "0af7651916cd43dd8448eb211c80319c", 0.0, principal=principal)
    with logged() as lines, within(call):
        log.info("found")
    [line] = lines.of("found")
    ids = (line["request_id"], line["trace_id"], line["tenant"])
    assert ids == ("r-1", call.trace_id, "acme")
    assert "kim" not in lines.getvalue()


async def test_an_event_is_one_line_whatever_it_holds() -> None:
    with logged() as lines:
        log.info("odd", text="두 줄\n둘째", thing=object(), path=ValueError("x"))
    assert len(lines.getvalue().splitlines()) == 1
    assert lines.of("odd")[0]["text"] == "두 줄\n둘째"


async def test_what_is_below_the_level_is_left_out() -> None:
    with logged(level="warning") as lines:
        log.info("quiet")
        log.warning("loud")
    assert not lines.of("quiet")
    assert lines.of("loud")


async def test_libraries_go_through_the_same_pipeline() -> None:
    call = Call("r-2", "0af7651916cd43dd8448eb211c80319c", 0.0)
    with logged() as lines, within(call):
        logging.getLogger("qdrant_client").warning("retrying %s", "soon")
    [line] = lines.of("retrying soon")
    assert (line["level"], line["service"], line["request_id"]) == ("warning", "echo", "r-2")
    assert "timestamp" in line


@pytest.mark.parametrize("logger", [log, logging.getLogger("asyncio")], ids=["own", "library"])
async def test_an_exception_is_a_traceback_in_the_line(logger: Any) -> None:
    with logged() as lines:
        try:
            raise ValueError("deep down")
        except ValueError:
            logger.exception("failed")
    [line] = lines.of("failed")
    assert line["level"] == "error"
    assert line["exception"].startswith("Traceback")
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


def failing(kind: str, depth: int = 3) -> None:
    """Raise an error of that kind some frames down, with a secret in each text that it has."""
    credential = PLANTED["token"]  # A local variable, which a traceback may show as well.
    if depth:
        return failing(kind, depth - 1)
    first = ValueError(f"{PLANTED['email']} cannot log in with {credential}")
    if kind == "noted":
        first.add_note(f"asked by {PLANTED['phone']}")
        raise first
    if kind == "group":
        inner = ExceptionGroup(f"of {PLANTED['card']}", [first, KeyError(PLANTED["phone"])])
        raise ExceptionGroup("both", [OSError(PLANTED["resident-number"]), inner])
    try:
        raise first
    except ValueError as error:
        second = RuntimeError(f"no answer for {PLANTED['phone']}")
        if kind == "caused":
            raise second from error
        raise second  # noqa: B904


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("kind", ["caused", "during", "noted", "group"])
@pytest.mark.parametrize("through", ["structlog", "library", "value"])
async def test_a_traceback_is_redacted_however_deep_its_errors_are(
    form: str, kind: str, through: str
) -> None:
    with logged(form=form) as lines:
        try:
            failing(kind)
        except Exception as error:
            if through == "value":
                log.error("failed", exc_info=error)
            elif through == "library":
                logging.getLogger("asyncio").exception("failed")
            else:
                log.exception("failed")
    written = lines.getvalue()
    assert "Traceback" in written
    assert "ValueError" in written
    assert "[email]" in written
    assert [label for label, mark in PLANTED.items() if mark in written] == []


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("through", ["structlog", "library"])
async def test_a_stack_is_redacted(form: str, through: str) -> None:
    with logged(form=form) as lines:
        if through == "library":
            logging.getLogger("asyncio").warning("slow", stack_info=bool("kim@acme.co.kr"))
        else:
            log.warning("slow", stack_info=bool("kim@acme.co.kr"))
    assert "test_a_stack_is_redacted" in lines.getvalue()
    assert "kim@acme" not in lines.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
async def test_whoever_listens_has_the_traceback_too(form: str) -> None:
    heard: list[Mapping[str, Any]] = []
    with logged(form=form):
        logs.listen(lambda line: heard.append(dict(line)))
        try:
            failing("caused")
        except RuntimeError:
            log.exception("failed")
    assert "[email]" in heard[0]["exception"]


def test_off_a_terminal_the_form_is_json() -> None:
    program = (
        "import structlog; from rag_common.observability import logging as logs; "
        "logs.configure('shop'); structlog.get_logger().info('hello')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout)["event"] == "hello"
    assert not done.stderr
