"""The Secrets and the ConfigMap that the chart refers to, and what they hold. docs/chart.md lists them."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.services import SERVICES

COMPONENTS = (*SERVICES, "edge")


@dataclass(frozen=True)
class Secret:
    """What must exist: its fixed `name`, or the `path` of the value that names it."""

    keys: Sequence[str]
    needed: str
    name: str = ""
    path: str = ""
    components: Sequence[str] = ("",)
    kind: str = "Secret"


SECRETS = (
    Secret(
        ("tls.crt", "tls.key", "ca.crt"),
        "with tls.mode secret; with certManager it is made, with vault there is none",
        name="RELEASE-COMPONENT-tls",
        components=COMPONENTS,
    ),
    Secret(
        ("tls.crt", "tls.key", "ca.crt"),
        "the certificate for clients: if set; else it is made as RELEASE-edge-public-tls, except "
        "with tls.mode vault",
        path="edge.certificate.secret",
    ),
    Secret(
        ("the reference's key",),
        "for each secret setting with a reference to a Secret",
        path="components.*.secrets.*.secret.name",
    ),
    Secret(
        ("jwks.json",),
        "if something other than Vault signs the platform's tokens: its public keys",
        path="components.gateway.jwksSecret",
    ),
    Secret(
        ("ca.crt",),
        "if a private authority issued the certificate of the Redis in redis.url",
        path="components.gateway.redisCaSecret",
    ),
    Secret(
        ("ca.crt", "tls.crt", "tls.key"),
        "if a private authority issued the certificate of the server in index.url; tls.crt and tls.key if it "
        "requires a client's certificate",
        path="components.retriever.qdrantTlsSecret",
    ),
    Secret(("users.acl",), "with redis.enabled", path="redis.aclSecret"),
    Secret(
        ("the value of vault.caSecret.key",),
        "if a private authority issued Vault's certificate",
        path="vault.caSecret.name",
    ),
    Secret(("token",), "for helm test, if test.tokenSecret is empty", name="RELEASE-test-token"),
    Secret(("token",), "for helm test", path="test.tokenSecret"),
    Secret(
        ("the value of test.caSecret.key",),
        "for helm test, if a private authority issued the edge's certificate for clients",
        path="test.caSecret.name",
    ),
    Secret((".dockerconfigjson",), "for a registry with a login", path="image.pullSecrets"),
    Secret(
        ("api_key",),
        "with qdrant.enabled: Qdrant's API key, to which `qdrant.env` of values-production.yaml refers",
        name="rag-qdrant",
    ),
    Secret(
        ("ca.crt",),
        "with canary.provider gatewayApi: the authority of the services' certificates, for the Gateway",
        name="RELEASE-ca",
        kind="ConfigMap",
    ),
)
