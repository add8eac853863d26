"""When a call is tried again, which calls may be, and where a target is."""

import grpc
import pytest
from google.protobuf.descriptor_pb2 import MethodOptions

from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_client import procedures
from rag_client.calls import Attempts, Retries
from rag_client.channel import is_loopback
from rag_client.procedures import Procedure
from rag_common import errors
from rag_common.rpc.status import trailers


class Refusal(grpc.RpcError):
    """A failed call as gRPC raises it."""

    def __init__(self, error: errors.AppError | None = None, pushback: str | None = None) -> None:
        details = trailers(error, None) if error else ()
        plain = [item for item in details if item[0] != "grpc-retry-pushback-ms"]
        self._trailing = plain + ([("grpc-retry-pushback-ms", pushback)] if pushback else [])

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def trailing_metadata(self) -> tuple[object, ...]:  # type: ignore[override]
        return tuple(self._trailing)


def test_waits_double_and_have_an_upper_bound() -> None:
    retries = Retries(attempts=9, first_wait=0.1, longest_wait=0.4, jitter=lambda: 1.0)
    waits = [retries.wait(tried, Refusal()) for tried in range(1, 5)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.4])


def test_jitter_takes_away_half_of_a_wait_at_most() -> None:
    assert Retries(jitter=lambda: 0.0).wait(1, Refusal()) == pytest.approx(0.05)


def test_retry_info_says_the_wait() -> None:
    refusal = Refusal(errors.Draining("draining", retry_after=0.75))
    assert Retries().wait(1, refusal) == 0.75


def test_pushback_comes_before_retry_info() -> None:
    refusal = Refusal(errors.Draining("draining", retry_after=0.75), pushback="250")
    assert Retries().wait(1, refusal) == 0.25


@pytest.mark.parametrize("pushback", ["-1", "soon"])
def test_a_pushback_that_is_no_time_forbids_a_retry(pushback: str) -> None:
    assert Retries().wait(1, Refusal(pushback=pushback)) is None


def test_attempts_share_one_deadline() -> None:
    moments = iter([0.0, 0.0, 4.0, 4.0])
    attempts = Attempts(Retries(first_wait=1.0, jitter=lambda: 1.0), 10.0, lambda: next(moments))
    assert attempts.begin() == 10.0
    assert attempts.wait(Refusal()) == 1.0
    assert attempts.begin() == 6.0


def test_every_call_of_the_contract_is_offered_and_only_marked_ones_are_reads() -> None:
    offered = [item for item in vars(procedures).values() if isinstance(item, Procedure)]
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
