"""The edge itself, the gateways as it sees them, and the labels by which Envoy names its parts."""

from tools.dashboards.board import Kind, Query, above, below, panel, section
from tools.dashboards.promql import buckets, rate

HERE = 'instance=~"$instance"'
PUBLIC = f'envoy_http_conn_manager_prefix="edge", {HERE}'
# The gateways of a lane are a cluster `gateway_NAME`; calls for it go to `lane_NAME`, which falls back.
BEHIND = f'envoy_cluster_name=~"gateway|gateway_.+|limits|pages", {HERE}'
STABLE = f'envoy_cluster_name="gateway", {HERE}'
GATEWAY = f'envoy_cluster_name=~"gateway|gateway_.+|lane_.+", {HERE}'
CLUSTER = "{{envoy_cluster_name}}"
METHOD = "envoy_grpc_bridge_service, envoy_grpc_bridge_method"
CALLED = "{{envoy_grpc_bridge_service}}/{{envoy_grpc_bridge_method}}"

ITSELF = section(
    "Itself",
    panel(
        "Certificate",
        "Days until the first of the edge's certificates expires.",
        f"min by (instance) (envoy_server_days_until_first_cert_expiring{{{HERE}}})",
        kind=Kind.NUMBER,
        unit="d",
        bounds=below(2, 7),
        see=("RagEdgeCertificateExpiring",),
        size=(4, 8),
    ),
    panel(
        "Connections",
        "Open connections of clients, and of the edge to each cluster.",
        Query(f"envoy_http_downstream_cx_active{{{PUBLIC}}}", "clients"),
        Query(f"envoy_http_downstream_rq_active{{{PUBLIC}}}", "calls"),
        Query(f"envoy_cluster_upstream_cx_active{{{BEHIND}}}", CLUSTER),
        see=("RagEdgeServerErrors",),
        size=(6, 8),
    ),
    panel(
        "Pressure",
        "Memory and connections, in percent of the edge's limits. Above 95 % it accepts no more.",
        Query(f"envoy_overload_envoy_resource_monitors_fixed_heap_pressure{{{HERE}}}", "memory"),
        Query(
            "envoy_overload_envoy_resource_monitors_global_downstream_max_connections_pressure"
            f"{{{HERE}}}",
            "connections",
        ),
        unit="percent",
        bounds=above(80, 95),
        most=100,
        see=("RagEdgeServerErrors",),
        size=(7, 8),
    ),
    panel(
        "Handshakes",
        "Successful and failed TLS handshakes.",
        Query(rate("envoy_listener_ssl_handshake", where=HERE), "done"),
        Query(rate("envoy_listener_ssl_connection_error", where=HERE), "failed"),
        see=("RagEdgeCertificateExpiring",),
        size=(7, 8),
    ),
)


GATEWAYS = section(
    "Behind it",
    panel(
        "Time of the clusters",
        "Distribution of the gateways' response times, in milliseconds.",
        buckets("envoy_cluster_upstream_rq_time", GATEWAY),
        kind=Kind.HEAT,
        unit="ms",
        see=("RagSearchLatencyBudgetBurn",),
    ),
    panel(
        "Members held healthy",
        "Healthy members of each cluster: gateways, their pages, and their rate limit service.",
        Query(f"envoy_cluster_membership_healthy{{{BEHIND}}}", f"{CLUSTER} healthy"),
        Query(f"envoy_cluster_membership_total{{{BEHIND}}}", f"{CLUSTER} all"),
        see=("RagEdgeNoHealthyUpstream",),
    ),
    panel(
        "Left alone after errors",
        "Ejected members: they failed and get no calls for a while.",
        Query(f"envoy_cluster_outlier_detection_ejections_active{{{HERE}}}", CLUSTER),
        bounds=above(1, 2),
        see=("RagEdgeNoHealthyUpstream",),
    ),
    panel(
        "Retries",
        "Reads that were retried because a gateway was stopping or unavailable, and retries that "
        "were given up.",
        Query(rate("envoy_cluster_upstream_rq_retry", where=GATEWAY), "asked again"),
        Query(rate("envoy_cluster_upstream_rq_retry_success", where=GATEWAY), "well"),
        Query(rate("envoy_cluster_upstream_rq_retry_limit_exceeded", where=GATEWAY), "given up"),
        unit="reqps",
        see=("RagEdgeNoHealthyUpstream",),
    ),
    panel(
        "Bounds reached",
        "Circuit breakers that are open: more calls, connections, waiting calls or retries than "
        "the edge lets through at once.",
        *(
            Query(
                f"max by (envoy_cluster_name) (envoy_cluster_circuit_breakers_default_{name}_open"
                f"{{{BEHIND}}})",
                f"{CLUSTER} {said}",
            )
            for name, said in (
                ("rq", "calls"),
                ("cx", "connections"),
                ("rq_pending", "waiting"),
                ("rq_retry", "retries"),
            )
        ),
        bounds=above(1, 1),
        see=("RagEdgeServerErrors",),
    ),
    panel(
        "Calls cut off",
        "Calls that exceeded their deadline or were cancelled by either side.",
        Query(rate("envoy_cluster_upstream_rq_timeout", where=GATEWAY), "out of time"),
        Query(rate("envoy_cluster_upstream_rq_rx_reset", where=GATEWAY), "by the gateway"),
        Query(rate("envoy_http_downstream_rq_rx_reset", where=PUBLIC), "by the client"),
        unit="reqps",
        see=("RagEdgeServerErrors",),
    ),
)
