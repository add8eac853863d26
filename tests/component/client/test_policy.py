"""When a call is tried again, which calls may be, and where a target is."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.descriptor_pb2 import MethodOptions

from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_client.client.sync import Client
from rag_client.transport import methods
from rag_client.transport.calls import NEVER, Attempts, Retries
from rag_client.transport.channel import is_loopback
from rag_client.transport.methods import Procedure
from rag_contract import errors
from rag_contract.status import trailers
from rag_local.program import free_port
from tests.support.client import replies
from tests.support.client.neighbour import Neighbour, listening


class Refusal(grpc.RpcError):
    """A failed call as gRPC raises it."""

    def __init__(
        self,
        error: errors.AppError | None = None,
        pushback: str | None = None,
        details: str = "Socket closed",
    ) -> None:
        self._details = details
        details = trailers(error, None) if error else ()
        plain = [item for item in details if item[0] != "grpc-retry-pushback-ms"]
        self._trailing = plain + ([("grpc-retry-pushback-ms", pushback)] if pushback else [])

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[object, ...]:  # type: ignore[override]
        return tuple(self._trailing)


DRAINING = errors.Draining("draining", retry_after=0.75)


@pytest.mark.parametrize(
    ("jitter", "attempt", "refusal", "expected"),
    [
        (1.0, 1, Refusal(), 0.1),
        (1.0, 2, Refusal(), 0.2),
        (1.0, 3, Refusal(), 0.4),
        (1.0, 4, Refusal(), 0.4),
        (0.0, 1, Refusal(), 0.05),
        (1.0, 1, Refusal(DRAINING), 0.75),
        (1.0, 1, Refusal(DRAINING, pushback="250"), 0.25),
        (1.0, 1, Refusal(pushback="-1"), None),
        (1.0, 1, Refusal(pushback="soon"), None),
    ],
)
def test_a_wait_doubles_up_to_a_maximum_unless_the_server_says_its_own(
    jitter: float, attempt: int, refusal: Refusal, expected: float | None
) -> None:
    retries = Retries(attempts=9, first_wait=0.1, longest_wait=0.4, jitter=lambda: jitter)
    assert retries.wait(attempt, refusal) == (expected and pytest.approx(expected))


NO_CONNECTION = "connections to all backends failing; last error: UNKNOWN: Connection refused"
WRONG_NAME = "connections to all backends failing; last error: Hostname Verification Check failed."


@pytest.mark.parametrize(
    ("details", "attempts"),
    [("Socket closed", 3), (NO_CONNECTION, 6), (WRONG_NAME, 3)],
)
def test_more_attempts_are_made_while_there_is_no_connection(details: str, attempts: int) -> None:
    refusal = Refusal(details=details)
    assert Retries().wait(attempts - 1, refusal) is not None
    assert Retries().wait(attempts, refusal) is None
    assert NEVER.wait(1, refusal) is None


def test_a_read_is_answered_by_a_gateway_that_starts_meanwhile(neighbour: Neighbour) -> None:
    port = free_port()
    neighbour.says("Search", replies.search("a"))
    with Client(f"127.0.0.1:{port}", token="the-token") as client, ThreadPoolExecutor(1) as pool:
        reply = pool.submit(client.search, "question")
        time.sleep(0.6)
        with listening(neighbour, port=port):
            assert reply.result(10).passages


def test_attempts_share_one_deadline() -> None:
    moments = iter([0.0, 0.0, 4.0, 4.0])
    attempts = Attempts(Retries(first_wait=1.0, jitter=lambda: 1.0), 10.0, lambda: next(moments))
    assert attempts.start() == 10.0
    assert attempts.wait(Refusal()) == 1.0
    assert attempts.start() == 6.0


def test_every_call_of_the_contract_is_offered_and_only_marked_ones_are_reads() -> None:
    offered = [item for item in vars(methods).values() if isinstance(item, Procedure)]
    services = [
        access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
        answer_service_pb2.DESCRIPTOR.services_by_name["AnswerService"],
        document_service_pb2.DESCRIPTOR.services_by_name["DocumentService"],
    ]
    marked = {
        f"/{service.full_name}/{method.name}": method.GetOptions().idempotency_level
        == MethodOptions.NO_SIDE_EFFECTS
        for service in services
        for method in service.methods
    }
    assert {item.path: item.read for item in offered} == marked


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("127.0.0.1:50051", True),
        ("localhost:50051", True),
        ("[::1]:50051", True),
        ("dns:///localhost:50051", True),
        ("ipv4:127.0.0.1:50051", True),
        ("unix:/run/rag.sock", True),
        ("unix:///run/rag.sock", True),
        ("rag.example.com:443", False),
        ("localhost.example.com:443", False),
        ("10.0.0.1:50051", False),
        ("dns:///rag.example.com:443", False),
    ],
)
def test_a_target_on_this_machine_is_known(target: str, expected: bool) -> None:
    assert is_loopback(target) is expected
