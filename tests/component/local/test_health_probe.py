"""How `make run` waits for a service: over one connection, from before its port is open."""

import pytest

from rag_common.grpc.health_service import ProbeServer
from rag_local.program import free_port
from rag_local.service_processes import SERVING, HealthProbe, ServiceSpec


@pytest.fixture
def server() -> ProbeServer:
    return ProbeServer()


def test_one_probe_sees_a_service_open_its_port_and_become_ready(server: ProbeServer) -> None:
    port = free_port()
    with HealthProbe(ServiceSpec("gateway", 0, port, 0)) as probe:
        assert not probe.serving()
        server.servicer.enter_graceful_shutdown()
        assert server.server.add_insecure_port(f"127.0.0.1:{port}") == port
        server.server.start()
        try:
            assert not probe.serving()
            server.servicer.set("", SERVING)
        finally:
            server.server.stop(None).wait()
        assert not probe.serving()
