"""The platform as processes: one for all tests, and one for the tests that kill."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from tests.e2e.callers import Caller
from tests.e2e.platform import Platform
from tests.e2e.reflected import Method, methods
from tests.support.parts import prepared_models

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"

NewCaller = Callable[..., Caller]


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of the prepared model."""
    return prepared_models()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Platform]:
    """The services, for tests that leave them as they are."""
    home = tmp_path_factory.mktemp("platform")
    with Platform(home, {"EMBEDDER_MODELS_DIR": str(models)}) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def channel(platform: Platform) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the gateway."""
    options = [
        ("grpc.max_receive_message_length", 64 * 2**20),
        ("grpc.max_send_message_length", 64 * 2**20),
        ("grpc.max_metadata_size", 2**20),
    ]
    async with grpc.aio.insecure_channel(platform.target, options=options) as opened:
        yield opened


@pytest.fixture(scope="session")
def public(platform: Platform) -> dict[str, Method]:
    """The public methods by path, as the gateway describes them."""
    return {method.path: method for method in methods(platform.target)}


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own, so that no test sees what another one did."""
    return f"t-{secrets.token_hex(6)}"


@pytest.fixture
def caller(platform: Platform, channel: grpc.aio.Channel, tenant: str) -> Caller:
    """Calls as that tenant."""
    return Caller(channel, platform.token(tenant))


@pytest_asyncio.fixture(scope="session")
async def reader(platform: Platform, channel: grpc.aio.Channel) -> Caller:
    """A tenant that has the sample documents; tests only read them."""
    caller = Caller(channel, platform.token("samples"))
    for path in sorted(path for folder in ("ko", "en") for path in (SAMPLES / folder).iterdir()):
        name = f"{path.parent.name}/{path.name}"
        await caller.ingest(name, path.read_bytes(), filename=path.name)
    return caller
