"""Wiring of the embedder: the only module that selects its model, analyzer and device."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from rag.embedder.v1 import embedder_service_pb2_grpc as grpc_stubs
from rag_common.aio import cancel
from rag_common.grpc.bootstrap import Ports, Service, serving
from rag_common.grpc.ports import ServerSecurity
from rag_common.grpc.readiness import Check
from rag_common.service_context import service_context
from rag_common.settings import SettingsInvalid
from rag_contract import errors
from rag_embedder.api.callers import CALLERS
from rag_embedder.api.servicer import EmbedderServicer
from rag_embedder.embedding.query_cache import QueryCache
from rag_embedder.embedding.service import Embedder, Engine, Model, Reranker, Vector
from rag_embedder.embedding.sparse import Bm25
from rag_embedder.models import checksums
from rag_embedder.models.prepare_model import (
    BUILT_IN,
    prepared_directory,
    require_models,
    require_source,
)
from rag_embedder.queue.scheduler import Policy, Scheduler
from rag_embedder.runtimes.memory import release_unused
from rag_embedder.settings import Settings
from rag_embedder.telemetry.metrics import EmbedderMetrics
from rag_embedder.telemetry.queue import QueueInstrumentation, register_gauges

log = structlog.get_logger()

SERVICE = "rag.embedder.v1.EmbedderService"

# How long a health check waits for the model; half of what a check may take.
_LOADING_SECONDS = 1.0


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve while the model loads; until it is loaded, calls fail with MODEL_LOADING."""
    async with service_context(settings, "embedder") as context:
        sources = await asyncio.to_thread(_sources, settings)
        _import(settings)
        analysis = context.stack.enter_context(ThreadPoolExecutor(1, "analysis"))
        instruments = EmbedderMetrics(context.metrics)
        listening = asyncio.Event()

        async def load() -> Engine:
            # Kiwi holds the interpreter lock for most of a second: the ports would open after that.
            await listening.wait()
            return await _load(settings, sources, context.stack, instruments)

        loading = asyncio.create_task(load())
        context.stack.push_async_callback(cancel, loading)
        embedder = Embedder(
            lambda: _loaded(loading),
            analysis,
            QueryCache(settings.query_cache, instruments.caches.of("query_embeddings")),
            text_characters=settings.text_characters,
        )
        service = Service(
            SERVICE, grpc_stubs.add_EmbedderServiceServicer_to_server, EmbedderServicer(embedder)
        )
        served = serving(
            [service],
            settings,
            context.telemetry,
            checks={"model": model_check(loading)},
            optional_checks=context.identity.optional_checks,
            security=ServerSecurity(certificates=context.identity.certificates, callers=CALLERS),
        )
        async with served as ports:
            listening.set()
            yield ports


def _import(settings: Settings) -> None:
    """Import what loading needs before serving starts: imports hold the interpreter lock."""
    import_module(f"rag_embedder.runtimes.{settings.runtime}")
    import_module("rag_embedder.runtimes.kiwi")


@dataclass(frozen=True)
class _Sources:
    """Where the models are loaded from, determined before serving.

    `directory` is that of the prepared model; None for torch, which loads by name, and from the
    local cache alone if `cached`. `reranker_cached` is the same for the reranker.
    """

    directory: Path | None
    cached: bool
    reranker_cached: bool


def _sources(settings: Settings) -> _Sources:
    """The models' sources. Raises SettingsInvalid for a model that is known to be unavailable."""
    torch = settings.runtime == "torch"
    return _Sources(
        directory=None if torch else _directory(settings),
        cached=require_source(settings.model) if torch else True,
        reranker_cached=not settings.reranker
        or require_source(settings.reranker, "EMBEDDER_RERANKER"),
    )


def _directory(settings: Settings) -> Path:
    directory = prepared_directory(settings.models_dir, settings.model, settings.precision)
    if directory.is_dir():
        _require_whole(directory)
        return directory
    if settings.model != BUILT_IN:
        require_models(f"EMBEDDER_MODEL {settings.model}")
    raise SettingsInvalid(
        f"EMBEDDER_MODEL {settings.model} ({settings.precision}) is not prepared in "
        f"{settings.models_dir}; run: python -m rag_embedder.models.prepare_model"
    )


def _require_whole(directory: Path) -> None:
    if files := checksums.damaged(directory):
        raise SettingsInvalid(
            f"the model in {directory} is damaged ({', '.join(files)}): run "
            f"python -m rag_embedder.models.prepare_model, which prepares it anew"
        )


async def _load(
    settings: Settings, sources: _Sources, stack: AsyncExitStack, instruments: EmbedderMetrics
) -> Engine:
    """Load models and analyzer in threads, then start the scheduler."""
    started = asyncio.get_running_loop().time()
    model, (analyzer, sparse), reranker = await asyncio.gather(
        asyncio.to_thread(_model, settings, sources),
        asyncio.to_thread(_sparse),
        asyncio.to_thread(_reranker, settings, sources),
    )
    await asyncio.to_thread(release_unused)
    policy = _policy(settings)
    instrumentation = QueueInstrumentation(instruments, model.manifest.name)
    queue: Scheduler[Vector] = Scheduler(model.encode, policy, instrumentation)
    await stack.enter_async_context(queue)
    register_gauges(instruments, queue, policy)
    seconds = asyncio.get_running_loop().time() - started
    _report_model(instruments, model, seconds)
    log.info("model_loaded", fingerprint=model.fingerprint, seconds=round(seconds, 2))
    return Engine(model, sparse, analyzer, queue, reranker)


def _report_model(instruments: EmbedderMetrics, model: Model, seconds: float) -> None:
    manifest = model.manifest
    labels = (manifest.name, model.fingerprint, manifest.runtime, manifest.precision)
    instruments.model_info.labels(*labels).set(1)
    instruments.model_load_seconds.set(seconds)
    instruments.model_loaded.set(1)


def _loaded(loading: "asyncio.Future[Engine]") -> Engine:
    if not loading.done():
        raise errors.ModelLoading("the model is being loaded", retry_after=2.0)
    return loading.result()


def model_check(loading: "asyncio.Future[Engine]") -> Check:
    """A health check that passes as soon as the model is loaded, and fails with ModelLoading before.

    It waits for a second, as the next check may be a while away.
    """

    async def check() -> None:
        await asyncio.wait({loading}, timeout=_LOADING_SECONDS)
        _loaded(loading)

    return check


def _model(settings: Settings, sources: _Sources) -> "_Encoding":
    if sources.directory is None:
        from rag_embedder.models.prepare_model import source
        from rag_embedder.runtimes.torch import TorchModel

        location = source(settings.models_dir, settings.model)
        return TorchModel(location, settings.device, cached=sources.cached)
    from rag_embedder.runtimes.onnx import OnnxModel

    return OnnxModel(sources.directory, settings.lone_threads)


class _Encoding(Model, Protocol):
    """A model that also computes vectors."""

    def encode(self, batch: list[list[int]]) -> NDArray[np.float32]: ...


def _sparse() -> tuple[str, Bm25]:
    from rag_embedder.runtimes.kiwi import KiwiAnalyzer

    analyzer = KiwiAnalyzer()
    return f"kiwi {version('kiwipiepy')}, terms {analyzer.REVISION}", Bm25(analyzer)


def _reranker(settings: Settings, sources: _Sources) -> Reranker | None:
    if not settings.reranker:
        return None
    from rag_embedder.runtimes.torch import CrossEncoderReranker

    cached = sources.reranker_cached
    return CrossEncoderReranker(settings.reranker, settings.device, cached=cached)


def _policy(settings: Settings) -> Policy:
    if settings.runtime == "torch" and settings.device != "cpu":
        return Policy(1, settings.batch_texts, settings.batch_tokens, settings.queue_texts)
    return Policy(settings.lanes, queue_texts=settings.queue_texts)
