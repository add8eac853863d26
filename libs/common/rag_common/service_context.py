"""The first steps of every service: logs, telemetry, and its identity."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from rag_common.grpc.peer import Peer, open_peer
from rag_common.identity import ServiceIdentity, open_identity
from rag_common.observability import logging, setup
from rag_common.observability.metrics import Metrics
from rag_common.observability.setup import Telemetry
from rag_common.vault.settings import VaultSettings


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """What a service is built with. What is entered on `stack` is closed at its end, in reverse order."""

    telemetry: Telemetry
    identity: ServiceIdentity
    stack: AsyncExitStack

    @property
    def metrics(self) -> Metrics:
        """The registry of the service's metrics."""
        return self.telemetry.metrics

    async def peer(self, name: str, target: str, *, timeout: float, max_message_bytes: int) -> Peer:
        """Another service at `target`, as `open_peer`, with this service's certificate."""
        opened = open_peer(
            name,
            target,
            self.telemetry,
            timeout=timeout,
            max_message_bytes=max_message_bytes,
            certificates=self.identity.certificates,
        )
        return await self.stack.enter_async_context(opened)


@asynccontextmanager
async def service_context(settings: VaultSettings, service: str) -> AsyncIterator[ServiceContext]:
    """Configure logs and telemetry of the service, and open its identity, for the duration of the block.

    Raises SettingsInvalid, and Unavailable if Vault does not answer.
    """
    logging.configure(service, settings.log_level, settings.log_format, settings.region)
    telemetry = setup.configure(service, version("rag-platform"), settings.region)
    async with AsyncExitStack() as stack:
        stack.callback(telemetry.close)
        identity = await stack.enter_async_context(
            open_identity(settings, service, telemetry.metrics)
        )
        yield ServiceContext(telemetry, identity, stack)
