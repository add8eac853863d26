"""OTLP by gRPC or HTTP, for each signal, as the standard OTEL_ variables say."""

import os
import socket
import uuid
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter

from rag_common.observability.otlp import span_exporter as span_exporters
from rag_common.settings import SettingsInvalid

_GRPC, _HTTP = "grpc", "http/protobuf"
_FILES = ("CERTIFICATE", "CLIENT_KEY")
_EXPORTERS = {
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}


def resource(service: str, version: str, region: str) -> Resource:
    """The resource that all signals of this process name."""
    return Resource.create(
        {
            "service.namespace": "rag",
            "service.name": f"rag-{service}",
            "service.version": version,
            "service.instance.id": str(uuid.uuid4()),
            "process.pid": os.getpid(),
            "host.name": socket.gethostname(),
            **({"cloud.region": region} if region else {}),
        }
    )


def exporter(signal: str) -> Any:
    """OpenTelemetry's exporter of metrics or logs. Raises SettingsInvalid if a variable is invalid."""
    package = "grpc" if protocol(signal) == _GRPC else "http"
    module, name = _EXPORTERS[signal]
    imported = import_module(f"opentelemetry.exporter.otlp.proto.{package}.{module}")
    return _create(getattr(imported, name))


def span_exporter(described: Resource) -> SpanExporter:
    """The exporter of spans. Raises SettingsInvalid if a variable is invalid."""
    by = span_exporters.by_grpc if protocol("traces") == _GRPC else span_exporters.by_http
    exporting: SpanExporter = _create(lambda: by(described))
    return exporting


def _create(exporter_type: Callable[[], Any]) -> Any:
    """Raises SettingsInvalid if a variable is invalid."""
    for name, path in os.environ.items():
        named = name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith(_FILES)
        if named and path and not Path(path).is_file():
            raise SettingsInvalid(f"{name} is {path}, which is not a file")
    try:
        return exporter_type()
    except Exception as error:
        # Any: each variable is read in another way, and fails in another.
        text = " ".join(str(error).split())
        raise SettingsInvalid(f"invalid OTEL_EXPORTER_OTLP_ variable: {text}") from error


def protocol(signal: str) -> str:
    """The protocol for a signal. Raises SettingsInvalid."""
    name = "OTEL_EXPORTER_OTLP_PROTOCOL"
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
    value = os.environ.get(own) or os.environ.get(name) or _GRPC
    if value not in (_GRPC, _HTTP):
        raise SettingsInvalid(f"{name} is {value}; {_GRPC} and {_HTTP} are supported")
    return value


def enabled(signal: str) -> bool:
    """Whether a signal is exported: it has an endpoint, and its exporter is not none.

    In most places metrics are scraped and logs are collected from standard output, so these are exported
    only if OTEL_METRICS_EXPORTER or OTEL_LOGS_EXPORTER is otlp. Raises SettingsInvalid.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    base = "OTEL_EXPORTER_OTLP_ENDPOINT"
    if not (
        os.environ.get(base) or os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    ):
        return False
    default = "otlp" if signal == "traces" else "none"
    name = f"OTEL_{signal.upper()}_EXPORTER"
    value = os.environ.get(name) or default
    if value not in ("otlp", "none"):
        raise SettingsInvalid(f"{name} is {value}; otlp and none are supported")
    return value == "otlp"


def arrived(result: Any) -> bool:
    """Whether an exporter's result is success; every signal has an enumeration of its own."""
    return bool(result.name == "SUCCESS")
