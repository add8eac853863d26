"""The level of the log, changed while a service runs: from this machine alone, and for a while only."""

import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import structlog

from rag_common.http import pages
from rag_common.observability import logging
from rag_common.observability.log_level import LogLevelControl
from tests.support.rpc import logged, served
from tests.support.waiting import until

log = structlog.get_logger()


@pytest.fixture
async def put() -> AsyncIterator[Any]:
    async with served() as service, aiohttp.ClientSession() as session:

        async def order(**options: Any) -> aiohttp.ClientResponse:
            url = f"http://127.0.0.1:{service.ports.http}/log-level"
            response = await session.put(url, **options)
            await response.read()
            return response

        yield order


@pytest.fixture(autouse=True)
def usual_level() -> Any:
    yield
    logging.configure("test")


async def test_a_level_is_changed_while_the_service_runs(put: Any) -> None:
    with logged(level="warning") as lines:
        log.debug("before")
        response = await put(json={"level": "debug"})
        log.debug("after")
    assert response.status == 200
    assert await response.json() == {"level": "debug", "seconds": 600.0, "then": "info"}
    assert not lines.of("before")
    assert lines.of("after")


async def test_the_change_is_in_the_log_whatever_the_level(put: Any) -> None:
    with logged() as lines:
        await put(json={"level": "error", "seconds": 60})
    [line] = lines.of("log_level")
    assert (line["level"], line["seconds"]) == ("error", 60)


async def test_a_level_is_as_before_when_its_time_is_over(put: Any) -> None:
    with logged() as lines:
        await put(json={"level": "debug", "seconds": 1})
        await until(lambda: len(lines.of("log_level")) == 2, "it is said that it is over")
        log.debug("late")
    assert not lines.of("late")


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"json": {"level": "verbose"}}, 400),
        ({"json": {"level": "debug", "seconds": 0}}, 400),
        ({"json": {"level": "debug", "seconds": 3601}}, 400),
        ({"json": {"level": "debug", "seconds": "long"}}, 400),
        ({"json": {"level": "debug", "seconds": True}}, 400),
        ({"json": {"level": ["debug"]}}, 400),
        ({"json": {}}, 400),
        ({"json": ["debug"]}, 400),
        ({"data": b"{", "headers": JSON}, 400),
        ({"data": '{"level": "debug"}'}, 415),
        ({"json": {"level": "debug"}, "headers": {"host": "evil.example"}}, 403),
        ({"data": b"x" * 100_000, "headers": JSON}, 413),
    ],
)
async def test_an_invalid_request_changes_nothing_and_its_response_says_why(
    put: Any, options: dict[str, Any], status: int
) -> None:
    with logged(level="info") as lines:
        response = await put(**options)
        log.debug("quiet")
    assert response.status == status
    assert status != 400 or (await response.json())["error"]
    assert not lines.of("quiet")


async def test_an_order_from_another_machine_is_refused() -> None:
    # The machine's own address stands for another machine's: it is not loopback.
    address = await _own_address()
    verbosity = LogLevelControl("info")
    async with (
        verbosity,
        pages.serve_http("0.0.0.0", 0, {}, verbosity.put_handlers()) as port,  # noqa: S104
        aiohttp.ClientSession() as session,
        session.put(f"http://{address}:{port}/log-level", json={"level": "debug"}) as response,
    ):
        assert response.status == 403


async def _own_address() -> str:
    """An address of this machine's that is not loopback; where it has none, the test cannot be made."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks which address would be used.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            sentence = "this machine has no address but loopback: connect it to a network"
            if os.environ.get("CI") == "true":
                pytest.fail(sentence, pytrace=False)
            pytest.skip(sentence)
        return str(probe.getsockname()[0])
