"""The edge, from Envoy's own metrics."""

from scripts.dashboards import backends, envoy
from scripts.dashboards.board import (
    YES_NO,
    Board,
    Choice,
    Kind,
    Panel,
    Query,
    Section,
    above,
    below,
)
from scripts.dashboards.envoy import CALLED, GATEWAY, HERE, METHOD, PUBLIC
from scripts.dashboards.promql import quantile, rate

EDGES = Choice("instance", "envoy_server_live", "instance")

_ASKED = Section(
    "What is asked",
    (
        Panel(
            title="Live",
            says="Whether each edge runs and takes calls.",
            queries=(Query(f"min by (instance) (envoy_server_live{{{HERE}}})", "{{instance}}"),),
            kind=Kind.NUMBER,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagEdgeDown",),
            width=4,
            height=6,
        ),
        Panel(
            title="Gateways it can use",
            says="Gateways that the edge holds healthy, of those it knows.",
            queries=(
                Query(
                    f"min(envoy_cluster_membership_healthy{{{GATEWAY}}}) / "
                    f"min(envoy_cluster_membership_total{{{GATEWAY}}})",
                    "healthy",
                ),
            ),
            kind=Kind.NUMBER,
            unit="percentunit",
            bounds=below(0.5, 1),
            runbooks=("RagEdgeNoHealthyUpstream",),
            width=4,
            height=6,
        ),
        Panel(
            title="Replies by class",
            says="HTTP replies to clients. gRPC errors come with status 200: the panel below has "
            "them.",
            queries=(
                Query(
                    rate("envoy_http_downstream_rq_xx", "envoy_response_code_class", PUBLIC),
                    "{{envoy_response_code_class}}xx",
                ),
            ),
            kind=Kind.AREAS,
            unit="reqps",
            runbooks=("RagEdgeServerErrors",),
            height=6,
        ),
        Panel(
            title="Time at the edge",
            says="From a call's arrival to its last byte, streams included.",
            queries=tuple(
                Query(
                    quantile(q, "envoy_http_downstream_rq_time", where=PUBLIC), f"p{round(q * 100)}"
                )
                for q in (0.5, 0.95, 0.99)
            ),
            unit="ms",
            runbooks=("RagSearchLatencyBudgetBurn",),
            leads=("rag-journey",),
            height=6,
        ),
        Panel(
            title="Calls by method",
            says="gRPC calls that went on to the gateways, those that came as JSON included.",
            queries=(Query(rate("envoy_cluster_grpc_total", METHOD, GATEWAY), CALLED),),
            unit="reqps",
            runbooks=("RagEdgeNoHealthyUpstream",),
        ),
        Panel(
            title="Not OK, by method",
            says="Share of those that ended otherwise than OK, for whatever reason.",
            queries=(
                Query(
                    f"1 - ({rate('envoy_cluster_grpc_success', METHOD, GATEWAY)} / "
                    f"{rate('envoy_cluster_grpc_total', METHOD, GATEWAY)})",
                    CALLED,
                ),
            ),
            unit="percentunit",
            bounds=above(0.05, 0.2),
            runbooks=("RagEdgeServerErrors",),
            leads=("rag-overview",),
        ),
        Panel(
            title="Time by method",
            says="p95 of the gateway as the edge sees it. The difference to the gateway's own "
            "time is the network.",
            queries=(
                Query(
                    quantile(0.95, "envoy_cluster_grpc_upstream_rq_time", METHOD, GATEWAY), CALLED
                ),
            ),
            unit="ms",
            runbooks=("RagSearchLatencyBudgetBurn",),
            leads=("rag-journey",),
        ),
    ),
)

_REFUSED = Section(
    "What is refused",
    (
        Panel(
            title="Refused by credentials",
            says="Calls whose token the edge let pass, and those it refused.",
            queries=(
                Query(rate("envoy_http_jwt_authn_allowed", where=PUBLIC), "allowed"),
                Query(rate("envoy_http_jwt_authn_denied", where=PUBLIC), "refused"),
            ),
            unit="reqps",
            runbooks=("RagEdgeServerErrors",),
        ),
        Panel(
            title="Refused by local limits",
            says="Calls above what one connection may ask, and above what the listener takes.",
            queries=(
                Query(
                    rate(
                        "envoy_http_local_rate_limit_rate_limited",
                        "envoy_local_http_ratelimit_prefix",
                        HERE,
                    ),
                    "{{envoy_local_http_ratelimit_prefix}}",
                ),
                Query(
                    rate("envoy_listener_local_ratelimit_rate_limited", where=HERE), "connections"
                ),
            ),
            unit="reqps",
            runbooks=("RagTierRefused",),
        ),
        Panel(
            title="Keys of issuers",
            says="Whether the edge gets the keys that it checks tokens with.",
            queries=(
                Query(rate("envoy_http_jwt_authn_jwks_fetch_success", where=PUBLIC), "read"),
                Query(rate("envoy_http_jwt_authn_jwks_fetch_failed", where=PUBLIC), "failed"),
            ),
            unit="reqps",
            runbooks=("RagKeysStale",),
        ),
    ),
)


EDGE = Board(
    uid="rag-edge",
    title="RAG edge",
    about="Envoy before the gateways: what is asked, refused and passed on, and how the edge itself is.",
    sections=(_ASKED, _REFUSED, backends.SECTION, envoy.SECTION),
    choices=(EDGES,),
)
