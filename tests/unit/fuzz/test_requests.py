"""Random requests of every public method: answered, or refused by the contract; never a defect of ours."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.gateway.v1 import access_service_pb2, answer_service_pb2, document_service_pb2
from rag_common.context import CALL, Call, Principal
from rag_contract import errors, status
from rag_gateway.api.validation.validator import RequestValidator
from tests.support.fuzz import examples
from tests.support.fuzz.messages import messages
from tests.support.fuzz.neighbours import servicers

METHODS: dict[str, MethodDescriptor] = {
    method.full_name: method
    for file in (answer_service_pb2, document_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
REQUESTS = [method.input_type for method in METHODS.values()] + [
    method.input_type
    for service in access_service_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
fuzzed = settings(
    max_examples=examples(20),
    suppress_health_check=list(HealthCheck),
)


async def called(method: MethodDescriptor, requests: Sequence[Message]) -> list[Any]:
    """The replies of a method to these messages. Raises whatever the servicer does."""
    principal = Principal("fuzz", "tenant", frozenset({"admin"}))
    call = Call(
        "id", "0af7651916cd43dd8448eb211c80319c", time.monotonic() + 60, principal=principal
    )
    CALL.set(call)
    behave = getattr(servicers()[method.containing_service.name], method.name)
    sent = _each(requests) if method.client_streaming else requests[0]
    async with call.resources:
        if method.server_streaming:
            return [reply async for reply in behave(sent, None)]
        return [await behave(sent, None)]


async def _each(requests: Sequence[Message]) -> AsyncIterator[Message]:
    for request in requests:
        yield request


def refused(method: MethodDescriptor, requests: Sequence[Message]) -> errors.AppError | None:
    """The contract's error; None where the call was answered. Anything else is raised."""
    try:
        asyncio.run(called(method, requests))
    except errors.AppError as error:
        return error
    return None


def assert_contract(error: errors.AppError | None) -> None:
    """An error of the caller's, which fits into a status."""
    if error is None:
        return
    assert isinstance(error, errors.InvalidArgument | errors.NotFound | errors.MessageTooLarge)
    call = Call("r" * 64, "0af7651916cd43dd8448eb211c80319c", 0.0, "ko")
    assert status.to_status(error, call).ByteSize() < 4096


@pytest.mark.parametrize("name", METHODS)
def test_random_requests_and_bytes_are_answered_or_refused_by_the_contract(name: str) -> None:
    method = METHODS[name]

    @fuzzed
    @given(
        st.lists(messages(method.input_type), min_size=1, max_size=3),
        st.binary(max_size=12),
        st.integers(0, 200),
    )
    def fuzz(requests: list[Message], noise: bytes, at: int) -> None:
        raw = requests[0].SerializeToString()
        try:
            first = GetMessageClass(method.input_type).FromString(raw[:at] + noise + raw[at:])
        except DecodeError:
            first = requests[0]
        assert_contract(refused(method, [first, *requests[1:]]))

    fuzz()


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda kind: kind.name)
def test_the_declared_limits_let_through_or_refuse_anything(request_type: Any) -> None:
    @fuzzed
    @given(messages(request_type))
    def fuzz(request: Message) -> None:
        try:
            RequestValidator(request).validate()
        except errors.InvalidArgument as error:
            assert_contract(error)

    fuzz()
