"""An exporter of spans by OTLP with our encoder: OpenTelemetry's own takes no other."""

import gzip
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.util.re import parse_env_headers
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from rag_common.observability.otlp.encoding import encode

_COMPRESSIONS = ("none", "gzip")
_TRIES = 4
# By the specification of OTLP: the receiver is to be asked again.
_RETRIED = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "DATA_LOSS")
_RETRIED_HTTP = (429, 502, 503, 504)
_RETRIES = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": _TRIES,
                    "initialBackoff": "0.5s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": _RETRIED,
                },
            }
        ]
    }
)

# Sends one request. Raises grpc.RpcError, requests.RequestException.
Send = Callable[[ExportTraceServiceRequest], object]


@dataclass(frozen=True, slots=True)
class Options:
    """What the OTEL_EXPORTER_OTLP_ variables say of spans; paths are empty if there are none."""

    endpoint: str
    headers: Mapping[str, str]
    timeout: float
    compressed: bool
    insecure: bool
    certificate: str = ""
    client_key: str = ""
    client_certificate: str = ""

    @classmethod
    def from_environment(cls) -> "Options":
        """A variable for traces comes before the one for all signals. Raises ValueError."""
        compression = _variable("COMPRESSION") or "none"
        if compression not in _COMPRESSIONS:
            raise ValueError(
                f"COMPRESSION is {compression}; {' and '.join(_COMPRESSIONS)} are known"
            )
        return cls(
            endpoint=_variable("ENDPOINT"),
            headers=parse_env_headers(_variable("HEADERS"), liberal=True),
            timeout=float(_variable("TIMEOUT") or 10),
            compressed=compression == "gzip",
            insecure=_variable("INSECURE").lower() == "true",
            certificate=_variable("CERTIFICATE"),
            client_key=_variable("CLIENT_KEY"),
            client_certificate=_variable("CLIENT_CERTIFICATE"),
        )


class OtlpSpanExporter(SpanExporter):
    """Exports the spans of one resource by `send`."""

    def __init__(self, resource: Resource, send: Send, close: Callable[[], None]) -> None:
        self._resource = resource
        self._send = send
        self._close = close

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans, and wait for the receiver's answer."""
        try:
            self._send(encode(self._resource, spans))
        except (grpc.RpcError, requests.RequestException):
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the connection."""
        self._close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True


def by_grpc(resource: Resource) -> OtlpSpanExporter:
    """Raises ValueError, OSError if a variable is invalid."""
    options = Options.from_environment()
    address = urlsplit(options.endpoint)
    plain = address.scheme == "http" or (address.scheme != "https" and options.insecure)
    target = address.netloc or options.endpoint
    settings = [("grpc.service_config", _RETRIES), ("grpc.enable_http_proxy", 0)]
    compression = grpc.Compression.Gzip if options.compressed else grpc.Compression.NoCompression
    channel = (
        grpc.insecure_channel(target, settings, compression)
        if plain
        else grpc.secure_channel(target, _credentials(options), settings, compression)
    )
    stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]
    metadata = tuple(options.headers.items())

    def send(request: ExportTraceServiceRequest) -> object:
        return stub.Export(request, timeout=options.timeout, metadata=metadata)

    return OtlpSpanExporter(resource, send, channel.close)


def by_http(resource: Resource) -> OtlpSpanExporter:
    """Raises ValueError if a variable is invalid."""
    options = Options.from_environment()
    url = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or (
        f"{options.endpoint.rstrip('/')}/v1/traces"
    )
    session = requests.Session()
    again = Retry(
        _TRIES - 1,
        connect=0,
        read=0,
        other=0,
        status_forcelist=_RETRIED_HTTP,
        allowed_methods=None,
        backoff_factor=0.5,
    )
    session.mount(url, HTTPAdapter(max_retries=again))
    verify = options.certificate or True
    session.headers.update({"content-type": "application/x-protobuf", **options.headers})
    if options.client_certificate:
        session.cert = (options.client_certificate, options.client_key)
    if options.compressed:
        session.headers["content-encoding"] = "gzip"

    def send(request: ExportTraceServiceRequest) -> object:
        body = request.SerializeToString()
        body = gzip.compress(body) if options.compressed else body
        # Named with each request: REQUESTS_CA_BUNDLE comes before what a session has.
        reply = session.post(url, body, timeout=options.timeout, verify=verify)
        reply.raise_for_status()
        return None

    return OtlpSpanExporter(resource, send, session.close)


def _credentials(options: Options) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        *(
            Path(path).read_bytes() if path else None
            for path in (options.certificate, options.client_key, options.client_certificate)
        )
    )


def _variable(name: str) -> str:
    own, general = f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"
    return os.environ.get(own) or os.environ.get(general) or ""
