"""The sync client on grpcio-testing's channel, which shows each call before it is answered."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc_testing  # type: ignore[import-untyped]

from rag.gateway.v1 import answer_service_pb2 as answers
from rag_client import Client
from rag_client.models.events import Started
from tests.support.client import replies

SERVICE = answers.DESCRIPTOR.services_by_name["AnswerService"]


def test_a_search_is_one_call_with_one_request() -> None:
    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    with ThreadPoolExecutor() as pool, Client(token="t", channel=channel) as client:
        reply = pool.submit(client.search, "연차", top_k=3)
        metadata, request, rpc = channel.take_unary_unary(SERVICE.methods_by_name["Search"])
        rpc.terminate(replies.search("a", "b"), (), grpc.StatusCode.OK, "")
        assert len(reply.result().passages) == 2
    assert ("authorization", "Bearer t") in metadata
    assert request.retrieval.top_k == 3


def test_events_are_given_out_as_they_come() -> None:
    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    with ThreadPoolExecutor() as pool, Client(channel=channel) as client:
        first = pool.submit(next, client.stream_answer("연차는?"))
        _, _, rpc = channel.take_unary_stream(SERVICE.methods_by_name["StreamAnswer"])
        rpc.send_response(replies.events()[0])
        assert isinstance(first.result(), Started)
        rpc.terminate((), grpc.StatusCode.OK, "")
