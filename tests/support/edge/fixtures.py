"""An edge with a scripted gateway behind it, shared by the tests that leave both as they are."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio

from rag_edge.edge_config import EdgeConfig
from rag_local.backends.envoy import Edge, edge
from tests.support.edge.gateway import Gateway, Signer, gateway
from tests.support.observability.fixtures import threaded
from tests.support.parts import tool
from tests.support.waiting import until

tool("envoy", "make run EDGE=1, or make test")

ORIGIN = "https://app.example"
# Nothing is limited that a test does not limit, and what is waited for comes soon.
QUIET = EdgeConfig(
    port=0,
    connection_rate=1_000_000,
    listener_rate=1_000_000,
    new_connections=1_000_000,
    health_interval="0.2s",
    keys_age="1s",
    origins=(ORIGIN,),
    reflection=True,
)


@dataclass
class Setting:
    """An edge, the gateway behind it, and whom it believes."""

    edge: Edge
    gateway: Gateway
    signer: Signer

    @property
    def url(self) -> str:
        """Where HTTP clients find it."""
        return f"https://localhost:{self.edge.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """What its certificate is checked with."""
        return ssl.create_default_context(cafile=str(self.edge.ca))

    def headers(self, **claims: Any) -> dict[str, str]:
        """What a client with a token sends."""
        return {"authorization": f"Bearer {self.signer.token(**claims)}"}

    def metadata(self, **claims: Any) -> tuple[tuple[str, str], ...]:
        """The same for gRPC."""
        return tuple(self.headers(**claims).items())

    def http(self, **options: Any) -> httpx.AsyncClient:
        """An HTTP client; of HTTP/2 where asked."""
        return httpx.AsyncClient(base_url=self.url, verify=self.trust, timeout=20, **options)

    def channel(self, *options: tuple[str, Any]) -> grpc.aio.Channel:
        """A gRPC channel of its own connection."""
        credentials = grpc.ssl_channel_credentials(self.edge.ca.read_bytes())
        own = ("grpc.use_local_subchannel_pool", 1)
        return grpc.aio.secure_channel(
            f"localhost:{self.edge.port}", credentials, options=[own, *options]
        )


NewSetting = Callable[..., AbstractAsyncContextManager[Setting]]


@asynccontextmanager
async def setting(home: Path, *, waited: bool = True, **changes: Any) -> AsyncIterator[Setting]:
    """An edge with values of its own; where it is waited for, ready to pass calls on."""
    async with gateway() as behind:
        signer = Signer()
        behind.keys = [signer.jwk]
        addressed = {
            "gateways": [f"127.0.0.1:{behind.port}"],
            "pages": [f"127.0.0.1:{behind.http_port}"],
        }
        async with threaded(edge(home, replace(QUIET, **{**addressed, **changes}))) as started:
            created = Setting(started, behind, signer)
            if waited:
                await until(partial(passes, created), "the edge passes calls on")
            behind.heard.clear()
            behind.limited.clear()
            yield created


async def passes(made: Setting) -> bool:
    """Whether a call with a token arrives."""
    async with made.http() as client:
        reply = await client.get("/v1/capabilities", headers=made.headers())
    return reply.status_code == 200


@pytest_asyncio.fixture(scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setting]:
    """One for all tests that only call."""
    async with setting(tmp_path_factory.mktemp("edge")) as created:
        yield created


@pytest_asyncio.fixture
async def placed(shared: Setting) -> Setting:
    """The shared one, with nothing heard yet and nothing scripted."""
    shared.gateway.acts.clear()
    shared.gateway.early.clear()
    shared.gateway.over = lambda _entries: False
    shared.gateway.ready = True
    # A test before may have left the gateway unhealthy, or ejected for its errors.
    await until(partial(passes, shared), "the edge passes calls on", seconds=30)
    shared.gateway.heard.clear()
    shared.gateway.limited.clear()
    return shared


@pytest_asyncio.fixture
async def http(placed: Setting) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP/1.1 client of the shared edge."""
    async with placed.http() as client:
        yield client


@pytest_asyncio.fixture
async def channel(placed: Setting) -> AsyncIterator[grpc.aio.Channel]:
    """A gRPC channel to the shared edge."""
    async with placed.channel() as opened:
        yield opened
