"""A process imports no large package that it does not need: imports are most of what a start costs."""

import json
import subprocess
import sys

import pytest

# Those of other services, of parts that are off by default, and of tests and tools.
_CLIENTS = {
    "hvac",
    "requests",
    "redis",
    "httpx",
    "openai",
    "qdrant_client",
    "rag_client",
    "rag_cli",
}
_MODELS = {"torch", "transformers", "onnx", "onnxruntime", "kiwipiepy", "xllamacpp"}
_PARSERS = {"lxml", "pypdfium2", "markdown_it"}
_TELEMETRY = {"opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto"}
_TOOLS = {"jinja2", "rag_local", "rag_edge", "unittest", "multiprocessing"}
_ALL = _CLIENTS | _MODELS | _PARSERS | _TELEMETRY | _TOOLS
_SERVER = {"aiohttp", "pydantic", "structlog", "prometheus_client"}


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("rag_gateway.app", _ALL | {"numpy", "tokenizers"}),
        ("rag_generator.app", _ALL | {"numpy", "tokenizers"}),
        ("rag_retriever.app", _ALL | {"numpy", "tokenizers"}),
        ("rag_retriever.engines.server", _ALL | {"numpy", "tokenizers"}),
        ("rag_ingestor.app", _ALL | {"numpy", "tokenizers"}),
        ("rag_ingestor.sandbox.worker", (_ALL - _PARSERS) | _SERVER | {"grpc", "numpy"}),
        ("rag_embedder.app", _ALL),
        ("rag_embedder.runtimes.onnx", _ALL - {"onnxruntime"}),
        ("rag_local.__main__", (_CLIENTS | _MODELS | _PARSERS | {"jinja2"}) - {"rag_cli"}),
    ],
)
def test_a_process_imports_no_large_package_that_it_does_not_need(
    module: str, unneeded: set[str]
) -> None:
    program = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not unneeded.intersection(json.loads(done.stdout))
