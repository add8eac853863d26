"""The edge, from Envoy's own metrics."""

from tools.dashboards import envoy
from tools.dashboards.board import YES_NO, Board, Choice, Kind, Query, above, below, panel, section
from tools.dashboards.envoy import CALLED, CLUSTER, GATEWAY, HERE, METHOD, PUBLIC, STABLE
from tools.dashboards.promql import quantile, quantiles, rate

EDGES = Choice("instance", "envoy_server_live", "instance")

_ASKED = section(
    "Requests",
    panel(
        "Live",
        "Whether each edge is running and accepts calls.",
        f"min by (instance) (envoy_server_live{{{HERE}}})",
        kind=Kind.NUMBER,
        see=("RagEdgeDown",),
        size=(4, 6),
        **YES_NO,
    ),
    panel(
        "Gateways it can use",
        "Healthy gateways, of all gateways that the edge knows.",
        Query(
            f"min(envoy_cluster_membership_healthy{{{STABLE}}}) / "
            f"min(envoy_cluster_membership_total{{{STABLE}}})",
            "healthy",
        ),
        kind=Kind.NUMBER,
        unit="percentunit",
        bounds=below(0.5, 1),
        see=("RagEdgeNoHealthyUpstream",),
        size=(4, 6),
    ),
    panel(
        "Replies by class",
        "HTTP replies to clients. gRPC errors come with status 200: the panel below has them.",
        Query(
            rate("envoy_http_downstream_rq_xx", "envoy_response_code_class", PUBLIC),
            "{{envoy_response_code_class}}xx",
        ),
        kind=Kind.AREAS,
        unit="reqps",
        see=("RagEdgeServerErrors",),
        size=(8, 6),
    ),
    panel(
        "Time at the edge",
        "From a call's arrival to its last byte, streams included.",
        *quantiles((0.5, 0.95, 0.99), "envoy_http_downstream_rq_time", where=PUBLIC),
        unit="ms",
        see=("RagSearchLatencyBudgetBurn", "rag-journey"),
        size=(8, 6),
    ),
    panel(
        "Calls by method",
        "gRPC calls that went on to the gateways, those that came as JSON included.",
        Query(rate("envoy_cluster_grpc_total", METHOD, GATEWAY), CALLED),
        unit="reqps",
        see=("RagEdgeNoHealthyUpstream",),
    ),
    panel(
        "Not OK, by method",
        "Share of calls with a status other than OK.",
        Query(
            f"1 - ({rate('envoy_cluster_grpc_success', METHOD, GATEWAY)} / "
            f"{rate('envoy_cluster_grpc_total', METHOD, GATEWAY)})",
            CALLED,
        ),
        unit="percentunit",
        bounds=above(0.05, 0.2),
        see=("RagEdgeServerErrors", "rag-overview"),
    ),
    panel(
        "Time by method",
        "p95 of the gateway as the edge sees it. The difference to the gateway's own time is the "
        "network.",
        Query(quantile(0.95, "envoy_cluster_grpc_upstream_rq_time", METHOD, GATEWAY), CALLED),
        unit="ms",
        see=("RagSearchLatencyBudgetBurn", "rag-journey"),
    ),
    panel(
        "Not OK, by lane",
        "Share of calls with a status other than OK, of those for the stable gateways and of those "
        "for each lane. A read that a lane failed and a stable gateway answered is OK.",
        Query(
            f"1 - ({rate('envoy_cluster_grpc_success', 'envoy_cluster_name', GATEWAY)} / "
            f"{rate('envoy_cluster_grpc_total', 'envoy_cluster_name', GATEWAY)})",
            CLUSTER,
        ),
        unit="percentunit",
        bounds=above(0.05, 0.2),
        see=("RagEdgeServerErrors", "rag-overview"),
    ),
)

_REFUSED = section(
    "Rejections",
    panel(
        "Rejected for credentials",
        "Calls whose token the edge accepted, and those it rejected.",
        Query(rate("envoy_http_jwt_authn_allowed", where=PUBLIC), "allowed"),
        Query(rate("envoy_http_jwt_authn_denied", where=PUBLIC), "refused"),
        unit="reqps",
        see=("RagEdgeServerErrors",),
    ),
    panel(
        "Rejected by local limits",
        "Calls above the rate limit of one connection, and above that of the listener.",
        rate("envoy_http_local_rate_limit_rate_limited", "envoy_local_http_ratelimit_prefix", HERE),
        Query(rate("envoy_listener_local_ratelimit_rate_limited", where=HERE), "connections"),
        unit="reqps",
        see=("RagTierRefused",),
    ),
    panel(
        "Keys of issuers",
        "Whether the edge can fetch the keys that verify tokens.",
        Query(rate("envoy_http_jwt_authn_jwks_fetch_success", where=PUBLIC), "read"),
        Query(rate("envoy_http_jwt_authn_jwks_fetch_failed", where=PUBLIC), "failed"),
        unit="reqps",
        see=("RagKeysStale",),
    ),
)


EDGE = Board(
    uid="rag-edge",
    title="RAG edge",
    about="Envoy in front of the gateways: calls received, rejected and forwarded, and the health"
    " of the edge itself.",
    sections=(_ASKED, _REFUSED, envoy.GATEWAYS, envoy.ITSELF),
    choices=(EDGES,),
)
