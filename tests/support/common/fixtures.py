"""A receiver of OTLP that the environment names, and two services that send to it."""

from collections.abc import Iterator, Sequence

import grpc
import pytest

from rag_common.observability import setup
from tests.support.receiver import Receiver, by_grpc, by_http
from tests.support.rpc import Act, method, peer, same, served

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{PARENT}-01")
UNSAMPLED = ("traceparent", f"00-{TRACE}-{PARENT}-00")
ENDPOINT, PROTOCOL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"


@pytest.fixture
def protocol() -> str:
    """The protocol of the receiver, which a test may parametrize."""
    return "grpc"


@pytest.fixture
def receiver(protocol: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with (by_grpc if protocol == "grpc" else by_http)() as receiving:
        monkeypatch.setenv(ENDPOINT, receiving.url)
        monkeypatch.setenv(PROTOCOL, protocol)
        yield receiving


async def hop(
    act: Act = same, kind: str = "One", metadata: Sequence[tuple[str, str]] = (TRACEPARENT,)
) -> None:
    """A call over two services, each with its own telemetry, which is sent when this returns."""
    front, back = setup.configure("front", "1"), setup.configure("back", "1")
    async with (
        served(act, telemetry=back) as behind,
        peer(behind.ports.grpc, telemetry=front) as echo,
    ):

        async def pass_on(text: str) -> str:
            return str(await echo.unary(method(echo.channel), text))

        async with served(pass_on, telemetry=front) as service:
            try:
                await service.call(kind, metadata=metadata)
            except grpc.aio.AioRpcError:
                assert act is not same
    front.close()
    back.close()
