"""Exporting spans by OTLP: headers, compression, TLS, retries, and what is left of a failure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from rag_common.observability.otlp.span_exporter import OtlpSpanExporter, by_grpc, by_http
from tests.support import receiver
from tests.support.authority import Authority
from tests.support.receiver import attributes

RESOURCE = Resource({"service.name": "rag-front", "process.pid": 7})
PREFIX = "OTEL_EXPORTER_OTLP_"


def span(**facts: Any) -> ReadableSpan:
    position = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    return ReadableSpan("work", position, start_time=1, end_time=2, resource=RESOURCE, **facts)


Serve = Callable[..., Any]
Connect = Callable[[Resource], OtlpSpanExporter]
both = pytest.mark.parametrize(
    ("serve", "connect"),
    [(receiver.by_grpc, by_grpc), (receiver.by_http, by_http)],
    ids=["grpc", "http"],
)


@both
@pytest.mark.parametrize("compression", ["", "gzip"])
def test_spans_arrive_with_the_headers_and_the_resource(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, connect: Connect, compression: str
) -> None:
    with serve() as receiving:
        monkeypatch.setenv(f"{PREFIX}ENDPOINT", receiving.url)
        monkeypatch.setenv(f"{PREFIX}HEADERS", "x-key=a%20b,x-other=c")
        monkeypatch.setenv(f"{PREFIX}COMPRESSION", compression)
        exporter = connect(RESOURCE)
        assert exporter.export([span()]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    [request], [headers] = receiving.requests, receiving.headers
    assert (headers["x-key"], headers["x-other"]) == ("a b", "c")
    assert attributes(request.resource_spans[0].resource) == {
        "service.name": "rag-front",
        "process.pid": 7,
    }


@both
def test_both_sides_show_a_certificate_if_the_variables_name_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serve: Serve, connect: Connect
) -> None:
    Authority().lay(tmp_path, "collector")
    with serve(tmp_path) as receiving:
        path = "/v1/traces" if connect is by_http else ""
        monkeypatch.setenv(f"{PREFIX}TRACES_ENDPOINT", receiving.url + path)
        monkeypatch.setenv(f"{PREFIX}CERTIFICATE", str(tmp_path / "ca.crt"))
        monkeypatch.setenv(f"{PREFIX}CLIENT_KEY", str(tmp_path / "tls.key"))
        monkeypatch.setenv(f"{PREFIX}CLIENT_CERTIFICATE", str(tmp_path / "tls.crt"))
        exporter = connect(RESOURCE)
        assert exporter.export([span()]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert len(receiving.requests) == 1


@both
def test_a_receiver_that_is_busy_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, connect: Connect
) -> None:
    with serve() as receiving:
        receiving.refusals = 2
        monkeypatch.setenv(f"{PREFIX}ENDPOINT", receiving.url)
        exporter = connect(RESOURCE)
        assert exporter.export([span()]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert (len(receiving.headers), len(receiving.requests)) == (3, 1)


@both
def test_a_receiver_that_is_not_there_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, connect: Connect
) -> None:
    with serve() as receiving:
        pass
    monkeypatch.setenv(f"{PREFIX}ENDPOINT", receiving.url)
    monkeypatch.setenv(f"{PREFIX}TIMEOUT", "1")
    exporter = connect(RESOURCE)
    assert exporter.export([span()]) is SpanExportResult.FAILURE
    exporter.shutdown()


def test_a_failed_span_of_ours_has_its_reason_and_anothers_only_its_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = Status(StatusCode.ERROR, "NOT_FOUND: hunter2")
    ours, theirs = (
        span(status=failed, instrumentation_scope=InstrumentationScope(name))
        for name in ("rag", "opentelemetry.instrumentation.redis")
    )
    with receiver.by_grpc() as receiving:
        monkeypatch.setenv(f"{PREFIX}ENDPOINT", receiving.url)
        exporter = by_grpc(RESOURCE)
        exporter.export([ours, theirs])
        exporter.shutdown()
    scopes = receiving.requests[0].resource_spans[0].scope_spans
    messages = {one.scope.name: one.spans[0].status.message for one in scopes}
    assert messages == {
        "rag": "NOT_FOUND: hunter2",
        "opentelemetry.instrumentation.redis": "NOT_FOUND",
    }
