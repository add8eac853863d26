"""Generate docs/settings.md, .env.example and .env.production; with --check, say whether they are current."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from rag_common.settings import ServiceSettings
from rag_embedder.settings import Settings as Embedder
from rag_gateway.settings import Settings as Gateway
from rag_generator.settings import Settings as Generator
from rag_retriever.settings import Settings as Retriever

ROOT = Path(__file__).resolve().parent.parent
SERVICES: tuple[type[ServiceSettings], ...] = (Gateway, Embedder, Retriever, Generator)

# Defaults that are made on the machine, as a person would say them.
MADE = {
    "EMBEDDER_LANES": "the number of cores",
    "GENERATOR_LLAMA_THREADS": "the number of cores",
    "EMBEDDER_MODELS_DIR": "`.rag/models`",
    "RETRIEVER_DATA_DIR": "`.rag/index`",
    "GATEWAY_JWKS": "`.rag/keys/jwks.json`",
}

PAGE = """\
# Settings

Written by `make settings` from the services' settings; not edited by hand.

A service reads the variables below from its environment and, below it, from the file that `RAG_ENV_FILE`
names. It refuses to start, with one sentence that names the variable, where a value is unfit or a
variable with its prefix is unknown.

Some variables are everybody's:

| Variable | Default | What it says |
| --- | --- | --- |
| `RAG_ENV_FILE` | none | A file of variables, `.env.example` for a start; the environment counts more. |
| `RAG_HOME` | `.rag` | The folder below which data, models and keys lie where nothing else is said. |
| `OTEL_EXPORTER_OTLP_ENDPOINT` | none | Where traces are sent by OTLP over gRPC; nothing is sent without. |
| `OTEL_SDK_DISABLED` | `false` | Whether to send nothing all the same. |
"""

LAPTOP = """\
# Every setting with its default, for one machine: cp .env.example .env; export RAG_ENV_FILE=.env
# Written by `make settings`. docs/settings.md says what each means.
"""

CLUSTER = """\
# What a cluster sets otherwise than a laptop, for a start; everything else has its default.
# Written by `make settings`. docs/settings.md says what each means.
# Secrets do not belong in a file. Mount or inject them: {secrets}.
"""

IN_A_CLUSTER = {"HOST": "0.0.0.0", "LOG_FORMAT": "json", "DRAIN_DELAY": "5"}  # noqa: S104

IN_ONE_SERVICE: Mapping[str, Mapping[str, str]] = {
    "GATEWAY_": {
        "REFLECTION": "false",
        "EMBEDDER_TARGET": "dns:///embedder:50052",
        "RETRIEVER_TARGET": "dns:///retriever:50053",
        "GENERATOR_TARGET": "dns:///generator:50054",
        "JWKS": "https://issuer.example.com/.well-known/jwks.json",
        "ISSUER": "https://issuer.example.com",
        "AUDIENCE": "rag",
    },
    "EMBEDDER_": {"MODELS_DIR": "/models"},
    "RETRIEVER_": {
        "ENGINE": "server",
        "QDRANT_URL": "http://qdrant:6333",
        "QDRANT_REPLICAS": "2",
        "QDRANT_WRITE_COPIES": "1",
    },
    "GENERATOR_": {},
}


def main() -> int:
    """Write the files, or name those that differ."""
    stale = [name for name, text in files().items() if _read(name) != text]
    if "--check" in sys.argv:
        for name in stale:
            sys.stderr.write(f"{name} is not what the settings give; run `make settings`\n")
        return 1 if stale else 0
    for name in stale:
        ROOT.joinpath(name).write_text(files()[name])
    return 0


def files() -> dict[str, str]:
    """The text of each file."""
    return {
        "docs/settings.md": PAGE + "".join(map(_section, SERVICES)),
        ".env.example": LAPTOP + "".join(map(_laptop, SERVICES)),
        ".env.production": CLUSTER.format(secrets=", ".join(_secrets()))
        + "".join(map(_cluster, SERVICES)),
    }


def _section(service: type[ServiceSettings]) -> str:
    rows = "".join(
        f"| `{variable}` | {_default(variable, field)} | {_limits(field)} | {field.description} |\n"
        for variable, field in _fields(service)
    )
    head = "| Variable | Default | Limits | What it says |\n| --- | --- | --- | --- |\n"
    return f"\n## {_name(service).capitalize()}\n\n{head}{rows}"


def _laptop(service: type[ServiceSettings]) -> str:
    lines = (_laptop_line(variable, field) for variable, field in _fields(service))
    return f"\n# {_name(service)}\n" + "".join(f"{line}\n" for line in lines)


def _laptop_line(variable: str, field: FieldInfo) -> str:
    if _is_secret(field):
        return f"# {variable} is a secret: keep it out of files"
    if variable in MADE:
        return f"# {variable} is {MADE[variable].strip('`')}"
    value = _plain(field.default)
    return f"{variable}={value}" if value else f"# {variable}="


def _cluster(service: type[ServiceSettings]) -> str:
    prefix = service.model_config["env_prefix"]
    values = {**IN_A_CLUSTER, **IN_ONE_SERVICE[prefix]}
    lines = "".join(f"{prefix}{name}={value}\n" for name, value in values.items())
    return f"\n# {_name(service)}\n{lines}"


def _fields(service: type[ServiceSettings]) -> Iterator[tuple[str, FieldInfo]]:
    """The service's own settings first, then those that all have."""
    common = ServiceSettings.model_fields
    names = sorted(service.model_fields, key=lambda name: name in common)
    prefix = service.model_config["env_prefix"]
    return ((prefix + name.upper(), service.model_fields[name]) for name in names)


def _secrets() -> list[str]:
    return [
        variable
        for service in SERVICES
        for variable, field in _fields(service)
        if _is_secret(field)
    ]


def _default(variable: str, field: FieldInfo) -> str:
    if variable in MADE:
        return MADE[variable]
    value = _plain(field.default)
    return f"`{value}`" if value else "none"


def _plain(value: Any) -> str:
    if value is None or isinstance(value, SecretStr):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _limits(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    return ", ".join(filter(None, map(_limit, field.metadata))) or "–"


def _limit(rule: Any) -> str:
    match rule:
        case Ge(ge=least):
            return f"≥ {least}"
        case Gt(gt=least):
            return f"> {least}"
        case Le(le=most):
            return f"≤ {most}"
        case Lt(lt=most):
            return f"< {most}"
        case MinLen():
            return "not empty"
        case MaxLen(max_length=most):
            return f"at most {most} characters"
        case _:
            return _choices(getattr(rule, "pattern", None))


def _choices(pattern: str | None) -> str:
    """A pattern of the form ^(a|b)$ as its choices."""
    if not pattern:
        return ""
    return ", ".join(f"`{word}`" for word in pattern.strip("^$()").split("|"))


def _is_secret(field: FieldInfo) -> bool:
    return field.annotation is SecretStr


def _name(service: type[ServiceSettings]) -> str:
    return str(service.model_config["env_prefix"]).strip("_").lower()


def _read(name: str) -> str:
    path = ROOT / name
    return path.read_text() if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
