"""The edge itself, and the labels by which Envoy names its parts."""

from scripts.dashboards.board import Kind, Panel, Query, Section, above, below
from scripts.dashboards.promql import rate

HERE = 'instance=~"$instance"'
PUBLIC = f'envoy_http_conn_manager_prefix="edge", {HERE}'
BEHIND = f'envoy_cluster_name=~"gateway|limits|pages", {HERE}'
GATEWAY = f'envoy_cluster_name="gateway", {HERE}'
CLUSTER = "{{envoy_cluster_name}}"
METHOD = "envoy_grpc_bridge_service, envoy_grpc_bridge_method"
CALLED = "{{envoy_grpc_bridge_service}}/{{envoy_grpc_bridge_method}}"

SECTION = Section(
    "Itself",
    (
        Panel(
            title="Certificate",
            says="Days until the first of the edge's certificates ends.",
            queries=(
                Query(
                    f"min by (instance) (envoy_server_days_until_first_cert_expiring{{{HERE}}})",
                    "{{instance}}",
                ),
            ),
            kind=Kind.NUMBER,
            unit="d",
            bounds=below(2, 7),
            runbooks=("RagEdgeCertificateExpiring",),
            width=4,
        ),
        Panel(
            title="Connections",
            says="Open connections of clients, and of the edge to each cluster.",
            queries=(
                Query(f"envoy_http_downstream_cx_active{{{PUBLIC}}}", "clients"),
                Query(f"envoy_http_downstream_rq_active{{{PUBLIC}}}", "calls"),
                Query(f"envoy_cluster_upstream_cx_active{{{BEHIND}}}", CLUSTER),
            ),
            runbooks=("RagEdgeServerErrors",),
            width=6,
        ),
        Panel(
            title="Pressure",
            says="Memory and connections, in percent of what the edge allows itself. Above 95 it "
            "takes no more.",
            queries=(
                Query(
                    f"envoy_overload_envoy_resource_monitors_fixed_heap_pressure{{{HERE}}}",
                    "memory",
                ),
                Query(
                    "envoy_overload_envoy_resource_monitors_global_downstream_max_connections_pressure"
                    f"{{{HERE}}}",
                    "connections",
                ),
            ),
            unit="percent",
            bounds=above(80, 95),
            most=100,
            runbooks=("RagEdgeServerErrors",),
            width=7,
        ),
        Panel(
            title="Handshakes",
            says="TLS handshakes that succeeded, and connections that failed in one.",
            queries=(
                Query(rate("envoy_listener_ssl_handshake", where=HERE), "done"),
                Query(rate("envoy_listener_ssl_connection_error", where=HERE), "failed"),
            ),
            runbooks=("RagEdgeCertificateExpiring",),
            width=7,
        ),
    ),
)
