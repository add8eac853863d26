"""Write docs/settings.md and the .env templates from the settings; --check only says what is stale."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from rag_common.settings import ServiceSettings
from rag_common.vault.settings import VaultSettings
from rag_embedder.settings import Settings as EmbedderSettings
from rag_gateway.settings import Settings as GatewaySettings
from rag_generator.settings import Settings as GeneratorSettings
from rag_retriever.settings import Settings as RetrieverSettings

ROOT = Path(__file__).resolve().parent.parent

SERVICES: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "embedder": EmbedderSettings,
    "retriever": RetrieverSettings,
    "generator": GeneratorSettings,
}
# What a default is that depends on the machine or on RAG_HOME.
COMPUTED = {
    "EMBEDDER_LANES": "number of cores",
    "GENERATOR_LLAMA_THREADS": "number of cores",
    "GATEWAY_SEARCHES": "3 × number of cores",
    "EMBEDDER_MODELS_DIR": ".rag/models",
    "RETRIEVER_DATA_DIR": ".rag/index",
    "GATEWAY_JWKS": ".rag/keys/jwks.json",
    "GATEWAY_SIGNING_KEY": ".rag/keys/dev.pem",
    "GATEWAY_CREDENTIALS_FILE": ".rag/credentials/credentials.sqlite",
}
# What differs from the default where the platform serves others.
PRODUCTION = {
    "HOST": "0.0.0.0",  # noqa: S104  # nosec B104
    "LOG_FORMAT": "json",
    "DRAIN_DELAY": "5",
    "REFLECTION": "false",
    "REGION": "REGION-NAME",
    "TLS": "vault",
    "VAULT_ADDRESS": "https://vault:8200",
}
PRODUCTION_OF = {
    "GATEWAY_EMBEDDER_TARGET": "dns:///rag-embedder:50052",
    "GATEWAY_RETRIEVER_TARGET": "dns:///rag-retriever:50053",
    "GATEWAY_GENERATOR_TARGET": "dns:///rag-generator:50054",
    "GATEWAY_ISSUER": "https://RAG-HOST",
    "GATEWAY_SIGNER": "vault",
    "GATEWAY_CREDENTIALS": "redis",
    "GATEWAY_REDIS_URL": "rediss://redis:6379/0",
    "GATEWAY_REDIS_PASSWORD": "vault:rag/gateway/redis#password",
    "GATEWAY_ADDRESS_HEADER": "x-envoy-external-address",
    "EMBEDDER_MODELS_DIR": "/models",
    "RETRIEVER_ENGINE": "server",
    "RETRIEVER_QDRANT_URL": "https://qdrant:6333",
    "RETRIEVER_QDRANT_API_KEY": "vault:rag/retriever/qdrant#api_key",
    "RETRIEVER_QDRANT_REPLICAS": "2",
}
LAPTOP = ("PORT", "LOG_LEVEL")


def main() -> int:
    pages = {
        ROOT / "docs" / "settings.md": "\n".join(page()) + "\n",
        ROOT / ".env.example": "\n".join(example()) + "\n",
        ROOT / ".env.production": "\n".join(production()) + "\n",
    }
    if "--check" in sys.argv:
        stale = [path.name for path, text in pages.items() if not is_current(path, text)]
        for name in stale:
            sys.stderr.write(f"{name} is not what the settings say; run `make settings`\n")
        return 1 if stale else 0
    for path, text in pages.items():
        path.write_text(text, "utf-8")
    return 0


def is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text


def page() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield (
        "Environment variables, made into this page by `make settings`; a file of them that "
        "`RAG_ENV_FILE` names is read too, and the environment counts more. An unknown variable with a "
        "service's prefix, or an unfit value, stops the service at start with one sentence that "
        "names it. `RAG_HOME` moves the default folders from `.rag`. Traces leave where the standard "
        "`OTEL_EXPORTER_OTLP_ENDPOINT` says."
    )
    shared = set(VaultSettings.model_fields)
    yield from [
        "",
        "## Every service",
        "",
        "With the service's prefix, for example `GATEWAY_HOST`.",
        "",
    ]
    own_ports = {"port", "health_port", "http_port"}
    yield from table(
        "", {n: f for n, f in VaultSettings.model_fields.items() if n not in own_ports}
    )
    for name, settings in SERVICES.items():
        prefix = settings.model_config["env_prefix"]
        fields = settings.model_fields
        own = {n: f for n, f in fields.items() if n not in shared or n in own_ports}
        yield from ["", f"## {name}", ""]
        yield from table(prefix, own)


def table(prefix: str, fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| variable | default | limits | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, field in fields.items():
        variable = prefix + name.upper()
        cells = [f"`{variable}`", shown(variable, field), limits(field), field.description or ""]
        yield f"| {' | '.join(cells)} |"


def shown(variable: str, field: FieldInfo) -> str:
    if variable in COMPUTED:
        return COMPUTED[variable]
    value = field.default
    if isinstance(value, SecretStr):
        return "none; secret"
    return (
        f"`{str(value).lower() if isinstance(value, bool) else value}`"
        if value not in ("", None)
        else "none"
    )


def limits(field: FieldInfo) -> str:
    found: list[str] = []
    for rule in field.metadata:
        match rule:
            case Ge():
                found.append(f"≥ {rule.ge}")
            case Gt():
                found.append(f"> {rule.gt}")
            case Le():
                found.append(f"≤ {rule.le}")
            case Lt():
                found.append(f"< {rule.lt}")
            case MinLen() if rule.min_length:
                found.append("not empty")
            case MaxLen():
                found.append(f"≤ {rule.max_length} characters")
    choices = pattern(field.metadata) or literal(field.annotation)
    return ", ".join(found) or choices


def pattern(metadata: list[Any]) -> str:
    rules = [str(rule.pattern) for rule in metadata if getattr(rule, "pattern", None)]
    choices = re.fullmatch(r"\^\(([a-z_|]+)\)\$", rules[0]) if rules else None
    return choices[1].replace("|", ", ") if choices else ""


def literal(annotation: Any) -> str:
    if annotation is bool:
        return "true, false"
    return (
        ", ".join(map(str, getattr(annotation, "__args__", ()) or ()))
        if is_literal(annotation)
        else ""
    )


def is_literal(annotation: Any) -> bool:
    return str(annotation).startswith("typing.Literal")


def example() -> Iterator[str]:
    yield "# For a laptop: what is here is the default. `set -a; . ./.env; set +a` before starting a service."
    yield "# All settings: docs/settings.md"
    for settings in SERVICES.values():
        prefix = settings.model_config["env_prefix"]
        yield ""
        for name in LAPTOP:
            yield f"{prefix}{name}={settings.model_fields[name.lower()].default}"


def production() -> Iterator[str]:
    yield "# For a cluster: what differs from the defaults. Capitals are for you to fill in."
    yield "# Secrets are not here but in Vault: vault:PATH#FIELD says where."
    for settings in SERVICES.values():
        prefix = settings.model_config["env_prefix"]
        yield ""
        yield from (f"{prefix}{name}={value}" for name, value in PRODUCTION.items())
        yield from (f"{n}={value}" for n, value in PRODUCTION_OF.items() if n.startswith(prefix))


if __name__ == "__main__":
    sys.exit(main())
