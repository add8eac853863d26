"""The gRPC health service on both ports. It ends Watch streams when the service stops."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

_PROBE_THREADS, _MAX_PROBES = 4, 64
_MAX_WATCHES = 1000

_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class ApiHealth(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it has no types
    """Health on the port of the API.

    grpc_health's own servicer never ends a Watch, so a watching client would make the server's stop
    take its full grace period.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {"": health_pb2.HealthCheckResponse.SERVING}
        self._changed = asyncio.Event()
        self._generation = 0
        self._watches = 0
        self._stopping = False
        self._closed = False

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        if self._watches >= _MAX_WATCHES:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watches at once")
        self._watches += 1
        try:
            generation, sent = self._generation, None
            while True:
                changed = self._changed
                status = self._statuses.get(request.service, _UNKNOWN)
                if status != sent:
                    await context.write(health_pb2.HealthCheckResponse(status=status))
                    sent = status
                if generation != self._generation or self._closed:
                    return
                await changed.wait()
        finally:
            self._watches -= 1

    async def set(self, name: str, status: int) -> None:
        """Set the status of the named service, unless the process is stopping."""
        if not self._stopping:
            self._statuses[name] = status
            self._wake()

    async def enter_graceful_shutdown(self) -> None:
        """Report NOT_SERVING for good, and end every Watch after it has sent that.

        A Watch that begins later reports NOT_SERVING and stays open until `close`: gRPC's clients watch
        again at once when a stream ends, and would do so without a pause.
        """
        self._stopping = True
        self._statuses = dict.fromkeys(self._statuses, _NOT_SERVING)
        self._generation += 1
        self._wake()

    def close(self) -> None:
        """End every Watch, including later ones."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class _ProbeHealth(health.HealthServicer):  # type: ignore[misc]  # it has no types
    """grpc_health's servicer for threads, with Watch streams that can be ended."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        super().__init__(experimental_non_blocking=True, experimental_thread_pool=pool)
        self._open: set[Callable[[Any], None]] = set()

    def Watch(self, request: Any, context: Any, send_response_callback: Any = None) -> Any:
        # Registered before the first status is sent, so that a stop in between ends it too.
        self._open.add(send_response_callback)
        context.add_callback(lambda: self._open.discard(send_response_callback))
        return super().Watch(request, context, send_response_callback)

    def end_watches(self) -> None:
        """End the streams that are open."""
        for send in list(self._open):
            send(None)


class ProbeServer:
    """The server of the health port, which anyone in the pod network may call.

    It is gRPC's synchronous server: a path that is not UTF-8 ends the asynchronous one for good.
    """

    def __init__(self) -> None:
        pool = ThreadPoolExecutor(_PROBE_THREADS, "health")
        self.servicer = _ProbeHealth(pool)
        self.server = grpc.server(
            pool, options=[("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=_MAX_PROBES
        )


class HealthStatuses:
    """Publishes the service's health status on both ports."""

    def __init__(self, api: ApiHealth, probes: _ProbeHealth) -> None:
        self._api = api
        self._probes = probes

    async def set(self, name: str, status: int) -> None:
        """Set the status of the named service."""
        self._probes.set(name, status)
        await self._api.set(name, status)

    async def enter_graceful_shutdown(self) -> None:
        """Report NOT_SERVING for good, and end Watch streams."""
        self._probes.enter_graceful_shutdown()
        await self._api.enter_graceful_shutdown()
        self._probes.end_watches()

    def close(self) -> None:
        """End the Watch streams that have begun since, and later ones on the API's port."""
        self._api.close()
        self._probes.end_watches()
