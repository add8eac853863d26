"""OTLP by gRPC or HTTP, for each signal, as the standard OTEL_ variables say."""

import logging
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource

from rag_common.settings import SettingsInvalid

_GRPC, _HTTP = "grpc", "http/protobuf"
_FILES = ("CERTIFICATE", "CLIENT_KEY")
_EXPORTERS = {
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}


def resource(service: str, version: str, region: str) -> Resource:
    """Who sends."""
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
    """OpenTelemetry's exporter of metrics or logs. Raises SettingsInvalid for an unknown protocol."""
    _quiet()
    package = "grpc" if protocol(signal) == _GRPC else "http"
    module, name = _EXPORTERS[signal]
    found = import_module(f"opentelemetry.exporter.otlp.proto.{package}.{module}")
    return _made(getattr(found, name))


def span_exporter(who: Resource) -> Any:
    """OpenTelemetry's exporter of spans, which takes ours. Raises SettingsInvalid."""
    _quiet()
    if protocol("traces") == _GRPC:
        from rag_common.otlp.grpc import GrpcSpans

        return _made(lambda: GrpcSpans(who))
    from rag_common.otlp.http import HttpSpans

    return _made(lambda: HttpSpans(who))


def _made(make: Callable[[], Any]) -> Any:
    """Raises SettingsInvalid where a variable is unfit."""
    for name, path in os.environ.items():
        named = name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith(_FILES)
        if named and path and not Path(path).is_file():
            raise SettingsInvalid(f"{name} is {path}, which is not a file")
    try:
        return make()
    except Exception as error:
        # Any: each variable is read in another way, and fails in another.
        told = " ".join(str(error).split())
        raise SettingsInvalid(f"an OTEL_EXPORTER_OTLP_ variable is unfit: {told}") from error


def _quiet() -> None:
    """Exporters log each failure, at length; the counts of the outbox say the same."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


def protocol(signal: str) -> str:
    """The protocol for a signal. Raises SettingsInvalid."""
    name = "OTEL_EXPORTER_OTLP_PROTOCOL"
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
    found = os.environ.get(own) or os.environ.get(name) or _GRPC
    if found not in (_GRPC, _HTTP):
        raise SettingsInvalid(f"{name} is {found}; {_GRPC} and {_HTTP} are spoken here")
    return found


def wanted(signal: str) -> bool:
    """Whether a signal is to be sent: where there is an endpoint, and unless an exporter says none.

    Metrics are fetched and logs are collected elsewhere in most places, so these are sent only
    where OTEL_METRICS_EXPORTER or OTEL_LOGS_EXPORTER is otlp.
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
    found = os.environ.get(name) or default
    if found not in ("otlp", "none"):
        raise SettingsInvalid(f"{name} is {found}; otlp and none are known here")
    return found == "otlp"


def arrived(result: Any) -> bool:
    """Whether an exporter's result says so; every signal has an enumeration of its own."""
    return bool(result.name == "SUCCESS")


def batches(exporting: Any) -> Any:
    """Sends a batch by the exporter; gives whether it arrived."""

    def send(items: Sequence[Any]) -> bool:
        return arrived(exporting.export(items))

    return send
