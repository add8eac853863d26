"""What is behind the edge, as the edge sees it."""

from scripts.dashboards.board import Kind, Panel, Query, Section, above
from scripts.dashboards.envoy import BEHIND, CLUSTER, GATEWAY, HERE, PUBLIC
from scripts.dashboards.promql import buckets, rate

SECTION = Section(
    "Behind it",
    (
        Panel(
            title="Time of the clusters",
            says="How the gateways' times spread, in milliseconds.",
            queries=(Query(buckets("envoy_cluster_upstream_rq_time", GATEWAY), "{{le}}"),),
            kind=Kind.HEAT,
            unit="ms",
            runbooks=("RagSearchLatencyBudgetBurn",),
        ),
        Panel(
            title="Members held healthy",
            says="Healthy members of each cluster: gateways, their pages, and their rate limit "
            "service.",
            queries=(
                Query(f"envoy_cluster_membership_healthy{{{BEHIND}}}", f"{CLUSTER} healthy"),
                Query(f"envoy_cluster_membership_total{{{BEHIND}}}", f"{CLUSTER} all"),
            ),
            runbooks=("RagEdgeNoHealthyUpstream",),
        ),
        Panel(
            title="Left alone after errors",
            says="Members that only failed and are not asked for a while.",
            queries=(
                Query(f"envoy_cluster_outlier_detection_ejections_active{{{HERE}}}", CLUSTER),
            ),
            bounds=above(1, 2),
            runbooks=("RagEdgeNoHealthyUpstream",),
        ),
        Panel(
            title="Asked again",
            says="Reads that were asked again because a gateway was stopping or away, and those "
            "given up.",
            queries=(
                Query(rate("envoy_cluster_upstream_rq_retry", where=GATEWAY), "asked again"),
                Query(rate("envoy_cluster_upstream_rq_retry_success", where=GATEWAY), "well"),
                Query(
                    rate("envoy_cluster_upstream_rq_retry_limit_exceeded", where=GATEWAY),
                    "given up",
                ),
            ),
            unit="reqps",
            runbooks=("RagEdgeNoHealthyUpstream",),
        ),
        Panel(
            title="Bounds reached",
            says="Circuit breakers that are open: more calls, connections, waiting calls or "
            "retries than the edge lets through at once.",
            queries=tuple(
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
            runbooks=("RagEdgeServerErrors",),
        ),
        Panel(
            title="Calls cut off",
            says="Calls that ran out of time, or that either side broke off.",
            queries=(
                Query(rate("envoy_cluster_upstream_rq_timeout", where=GATEWAY), "out of time"),
                Query(rate("envoy_cluster_upstream_rq_rx_reset", where=GATEWAY), "by the gateway"),
                Query(rate("envoy_http_downstream_rq_rx_reset", where=PUBLIC), "by the client"),
            ),
            unit="reqps",
            runbooks=("RagEdgeServerErrors",),
        ),
    ),
)
