"""Writes Envoy's configuration files: `python -m rag_edge.render CONFIG.toml FOLDER`."""

import ipaddress
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodDescriptorProto, MethodOptions
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rag_common.settings import SettingsInvalid
from rag_edge import local_replies
from rag_edge.edge_config import RUNTIME_PREFIX, STABLE, Address, EdgeConfig, Lane

TEMPLATES = Path(__file__).resolve().parent / "templates"
DESCRIPTORS = TEMPLATES / "rag.binpb"

# The name of Envoy's main configuration file.
CONFIGURATION = "envoy.yaml"

_PACKAGE = "rag.gateway.v1"
# The secrets that Envoy reads, each in a file of its own.
_SECRETS = {"edge": "edge.yaml", "identity": "identity.yaml", "platform_roots": "roots.yaml"}

# Headers by which a client could forge an identity or another route.
_STRIPPED = (
    *("x-tenant", "x-tenant-id", "x-user", "x-user-id", "x-subject", "x-principal", "x-scopes"),
    *("x-roles", "x-jwt-payload", "x-forwarded-client-cert", "x-real-ip", "forwarded", "cookie"),
    *("x-original-url", "x-rewrite-url", "x-http-method-override", "x-method-override"),
)
_STRIPPED_PREFIXES = ("x-rag-", "x-edge-", "x-envoy-", "x-auth-")
_PUBLIC_PATHS = ("/health/live", "/health/ready", "/.well-known/jwks.json")
_SECURITY_HEADERS = (
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
)
_TRANSCODER = (
    "type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"
)


@dataclass(frozen=True)
class Api:
    """The public API's methods, read from its descriptors."""

    descriptors: Path = DESCRIPTORS

    @property
    def services(self) -> list[str]:
        """Full names of the services."""
        return sorted({method.rpartition("/")[0].lstrip("/") for method in self._methods})

    @property
    def reads(self) -> list[str]:
        """Paths of the unary methods without side effects."""
        return [path for path, method in self._methods.items() if _is_read(method)]

    @property
    def writes(self) -> list[str]:
        """Paths of the other methods."""
        return [path for path, method in self._methods.items() if not _is_read(method)]

    @property
    def streams(self) -> list[str]:
        """Paths of the methods with a stream of replies."""
        return [path for path, method in self._methods.items() if method.server_streaming]

    @property
    def uploads(self) -> list[str]:
        """Paths of the methods with a stream of requests."""
        return [path for path, method in self._methods.items() if method.client_streaming]

    @cached_property
    def _methods(self) -> dict[str, MethodDescriptorProto]:
        files = FileDescriptorSet.FromString(self.descriptors.read_bytes()).file
        return {
            f"/{file.package}.{service.name}/{method.name}": method
            for file in files
            if file.package == _PACKAGE
            for service in file.service
            for method in service.method
        }


def _is_read(method: MethodDescriptorProto) -> bool:
    return method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS and not (
        method.server_streaming or method.client_streaming
    )


def main() -> int:
    """Write the files and the API's descriptors; an error goes to stderr. Returns the exit code."""
    config, folder = (Path(argument) for argument in sys.argv[1:3])
    try:
        write(folder, EdgeConfig.load(config))
        folder.joinpath(DESCRIPTORS.name).write_bytes(DESCRIPTORS.read_bytes())
    except (OSError, SettingsInvalid) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def write(folder: Path, config: EdgeConfig, api: Api | None = None) -> Path:
    """Write the configuration and the secrets' files into the folder; return the configuration's path."""
    files = render(config, api or Api())
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        folder.joinpath(name).write_text(text, "utf-8")
    return folder / CONFIGURATION


def render(config: EdgeConfig, api: Api) -> dict[str, str]:
    """The text of each file by its name."""
    templates = environment()
    secret = templates.get_template("secrets.yaml.j2")
    context = _context(config, api)
    context["lua"] = lambda name: templates.get_template(name).render(context)
    return {
        CONFIGURATION: templates.get_template("envoy.yaml.j2").render(context),
        **{
            file: secret.render(
                name=name, folder=config.certificates if name == "edge" else config.identity
            )
            for name, file in _SECRETS.items()
            if name == "edge" or config.gateway_tls
        },
    }


def environment() -> Environment:
    """The templates of this package; the filter `all_literal` is whether all hosts are IP addresses."""
    # The output is YAML in which every text is encoded by tojson.
    templates = Environment(  # noqa: S701  # nosec B701
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )
    templates.filters["all_literal"] = _all_literal
    return templates


def _context(config: EdgeConfig, api: Api) -> dict[str, Any]:
    listed = {
        name: [parse_address(one) for one in getattr(config, name)]
        for name in ("gateways", "pages")
    }
    limiters = [parse_address(one) for one in config.limiters or config.gateways]
    reflected = ("/grpc.reflection.",) if config.reflection else ()
    return {
        **{one.name: getattr(config, one.name) for one in fields(config)},
        **listed,
        "limiters": limiters,
        "stable": STABLE,
        "runtime_prefix": RUNTIME_PREFIX,
        "stable_weight": config.stable_weight,
        "lanes": [_lane(one) for one in config.lanes],
        "otlp": [parse_address(config.otlp)] if config.otlp else [],
        "reads": api.reads,
        "writes": api.writes,
        "streaming": api.streams,
        "uploading": api.uploads,
        "stripped": _STRIPPED,
        "stripped_prefixes": _STRIPPED_PREFIXES,
        "public_paths": _PUBLIC_PATHS,
        "public_prefixes": ("/grpc.health.v1.Health/Check", *reflected),
        "security_headers": _SECURITY_HEADERS,
        "refusals": local_replies.local_replies(),
        "http_statuses": [
            (status, local_replies.base64_spellings(reason))
            for reason, status in local_replies.HTTP_STATUSES.items()
        ],
        "untranscoded": {"@type": _TRANSCODER, "proto_descriptor": config.descriptors},
        "transcoder": lambda **form: _transcoder(config, api, form),
    }


def _lane(lane: Lane) -> dict[str, Any]:
    return {
        "name": lane.name,
        "cluster": lane.cluster,
        "route": lane.route,
        "weight": lane.weight,
        "gateways": [parse_address(one) for one in lane.gateways],
    }


def _transcoder(config: EdgeConfig, api: Api, form: dict[str, bool]) -> dict[str, Any]:
    return {
        "@type": _TRANSCODER,
        "proto_descriptor": config.descriptors,
        "services": api.services,
        "print_options": {"always_print_primitive_fields": True, **form},
        "convert_grpc_status": True,
        "request_validation_options": {
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        "max_request_body_size": config.json_bytes,
        "max_response_body_size": config.reply_bytes,
    }


def parse_address(text: str) -> Address:
    """Host and port of `HOST:PORT`, where an IPv6 address is in brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _all_literal(addresses: Sequence[Address]) -> bool:
    """Whether all hosts are IP addresses."""
    return all(_is_literal(host) for host, _ in addresses)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
