"""Settings that the chart does not let an operator set, each with the reason."""

_PORT = "files/components.yaml has it; the Service, the probes and the NetworkPolicies name it"
_ADDRESS = "the chart's own Service"
_LOGIN = "pods log in at Vault by their service account alone"
_LLAMA = "the images are built without llama.cpp; set openai_url"

# Of every service.
SERVICE = {
    "host": "a pod listens on all its addresses",
    "port": _PORT,
    "health_port": _PORT,
    "http_port": _PORT,
    "tls": "tls.mode",
    "tls_dir": "the chart mounts the certificate there",
    "tls_trust_domain": "trustDomain",
    "plaintext": "services always use mutual TLS",
    "region": "region",
    "vault_address": "vault.address",
    "vault_auth": _LOGIN,
    "vault_role": "vault.rolePrefix and the component's name",
    "vault_auth_mount": "vault.authMount",
    "vault_namespace": "vault.namespace",
    "vault_ca_file": "vault.caSecret",
    "vault_token_file": _LOGIN,
    "vault_role_id_file": _LOGIN,
    "vault_secret_id_file": _LOGIN,
    "vault_secret_id_wrapped": _LOGIN,
    "vault_jwt_file": "the chart mounts the token there",
    "vault_dns_names": "the component's name, which its callers verify",
    "vault_addresses": "a pod's address is not known before it starts",
}

# Of one service, in addition.
OWN: dict[str, dict[str, str]] = {
    "gateway": {
        "callers": "the edge is the only component that calls the gateway",
        "embedder_target": _ADDRESS,
        "retriever_target": _ADDRESS,
        "generator_target": _ADDRESS,
        "ingestor_target": _ADDRESS,
        "signer": "vault, or none with jwksSecret",
        "signing_key": "no private key is mounted: Vault signs",
        "jwks": "jwksSecret",
        "credentials": "a region has Redis, which its gateways share",
        "credentials_file": "a region has Redis, which its gateways share",
        "address_header": "the header of the edge",
        "audit_file": "audit events are in the log; a file would go with the pod",
        "redis_url": "redis.url, or the chart's own Redis",
        "redis_ca_file": "redisCaSecret",
    },
    "embedder": {"models_dir": "models"},
    "ingestor": {"embedder_target": _ADDRESS, "retriever_target": _ADDRESS},
    "retriever": {
        "engine": "index.engine",
        "data_dir": "persistence",
        "qdrant_url": "index.url, or the chart's own Qdrant",
        "qdrant_ca_file": "qdrantTlsSecret",
        "backup_stamp": "no volume of a backup job is mounted",
    },
    "generator": {
        "llama_model": _LLAMA,
        "llama_name": _LLAMA,
        "llama_context_tokens": _LLAMA,
        "llama_threads": _LLAMA,
        "llama_parallel": _LLAMA,
    },
}

# Of the edge's configuration, rag_edge.edge_config.
_FOLDER = "the chart mounts it there"
EDGE = {
    "host": "a pod listens on all its addresses",
    "port": "the Service and the NetworkPolicy name it",
    "node": "the pod's name",
    "certificates": _FOLDER,
    "identity": _FOLDER,
    "secrets": _FOLDER,
    "descriptors": _FOLDER,
    "admin": "the companion's socket",
    "access_log": "a container's log is its standard output",
    "public_roots": "Envoy's image has them there",
    "metrics_host": "a pod listens on all its addresses",
    "metrics_port": "the Service and the NetworkPolicy name it",
    "gateways": _ADDRESS,
    "pages": _ADDRESS,
    "gateway_tls": "services always use mutual TLS",
    "gateway_name": "the name in the gateway's certificate",
    "lanes": "canary.enabled",
    "region": "region",
    "otlp": "telemetry.endpoint or collector.enabled",
    "sampling": "telemetry.sampling",
}
# Of a canary's analysis, rag_delivery.config.
_PROBE = (
    "the canary's gateway accepts the edge alone, and the analysis has no certificate of the edge"
)
CANARY = {
    "prometheus": "canary.prometheus",
    "host": "a pod listens on all its addresses",
    "port": "the Service and the NetworkPolicies name it",
    "probe": _PROBE,
    "probe_timeout": _PROBE,
    "probe_interval": _PROBE,
    "report": "the container's message of termination",
}


def decided(component: str) -> dict[str, str]:
    """The settings of a component that the chart decides, with reasons."""
    if component in ("edge", "canary"):
        return EDGE if component == "edge" else CANARY
    return {**SERVICE, **OWN[component]}
