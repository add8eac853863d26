"""Puts the embedder together: the only place that names its model, its analysis and its device."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from rag.embedder.v1 import embedder_service_pb2_grpc as grpc_stubs
from rag_common import errors, logs, telemetry
from rag_common.rpc.server import Ports, Service, serving
from rag_common.settings import SettingsInvalid
from rag_common.trust import trusted
from rag_embedder.batching import Policy, Scheduler
from rag_embedder.callers import CALLERS
from rag_embedder.core import Embedder, Engine, Model, Reranker, Vector
from rag_embedder.instruments import Instruments
from rag_embedder.library import prepared
from rag_embedder.servicer import EmbedderServicer
from rag_embedder.settings import Settings
from rag_embedder.sparse import Bm25
from rag_embedder.watch import Watch, show

log = structlog.get_logger()

SERVICE = "rag.embedder.v1.EmbedderService"


@asynccontextmanager
async def app(settings: Settings) -> AsyncIterator[Ports]:
    """Serve; the model loads meanwhile, and until it has calls get MODEL_LOADING."""
    logs.configure("embedder", settings.log_level, settings.log_format)
    tracing = telemetry.configure("embedder", version("rag-platform"), settings.region)
    directory = _directory(settings)
    _import(settings)
    async with AsyncExitStack() as stack:
        stack.callback(tracing.close)
        trust = await stack.enter_async_context(trusted(settings, "embedder", tracing.metrics))
        trust.measure(tracing.metrics)
        analysis = stack.enter_context(ThreadPoolExecutor(1, "analysis"))
        instruments = Instruments(tracing.metrics)
        loading = asyncio.create_task(_load(settings, directory, stack, instruments))
        stack.callback(loading.cancel)
        embedder = Embedder(
            lambda: _loaded(loading), analysis, text_characters=settings.text_characters
        )
        service = Service(
            SERVICE, grpc_stubs.add_EmbedderServiceServicer_to_server, EmbedderServicer(embedder)
        )

        async def model() -> None:
            embedder.engine()

        served = serving(
            [service],
            settings,
            tracing,
            checks={"model": model},
            wants=trust.wants,
            guard=trust.guard(CALLERS),
        )
        async with served as ports:
            yield ports


def _import(settings: Settings) -> None:
    """Import what loading needs before the first call can come: importing holds all threads."""
    import_module(f"rag_embedder.adapters.{settings.runtime}")
    import_module("rag_embedder.adapters.kiwi")


def _directory(settings: Settings) -> Path | None:
    """Where the onnx model lies; none for torch, which takes a name."""
    if settings.runtime == "torch":
        return None
    directory = prepared(settings.models_dir, settings.model, settings.precision)
    if not directory.is_dir():
        raise SettingsInvalid(
            f"EMBEDDER_MODEL {settings.model} ({settings.precision}) is not prepared in "
            f"{settings.models_dir}; run: python -m rag_embedder.library"
        )
    return directory


async def _load(
    settings: Settings, directory: Path | None, stack: AsyncExitStack, instruments: Instruments
) -> Engine:
    """Load everything in threads, then start the lanes."""
    started = asyncio.get_running_loop().time()
    model, (analyzer, sparse), reranker = await asyncio.gather(
        asyncio.to_thread(_model, settings, directory),
        asyncio.to_thread(_sparse),
        asyncio.to_thread(_reranker, settings),
    )
    policy, watch = _policy(settings), Watch(instruments, model.manifest.name)
    queue: Scheduler[Vector] = Scheduler(model.encode, policy, watch)
    await stack.enter_async_context(queue)
    show(instruments, queue, policy)
    seconds = asyncio.get_running_loop().time() - started
    _tell(instruments, model, seconds)
    log.info("model_loaded", fingerprint=model.fingerprint, seconds=round(seconds, 2))
    return Engine(model, sparse, analyzer, queue, reranker)


def _tell(instruments: Instruments, model: Model, seconds: float) -> None:
    facts = model.manifest
    labels = (facts.name, model.fingerprint, facts.runtime, facts.precision)
    instruments.model_info.labels(*labels).set(1)
    instruments.model_load_seconds.set(seconds)
    instruments.model_loaded.set(1)


def _loaded(loading: "asyncio.Task[Engine]") -> Engine:
    if not loading.done():
        raise errors.ModelLoading("the model is being loaded", retry_after=2.0)
    return loading.result()


def _model(settings: Settings, directory: Path | None) -> "_Encoding":
    if directory is None:
        from rag_embedder.adapters.torch import TorchModel
        from rag_embedder.library import source

        return TorchModel(source(settings.models_dir, settings.model), settings.device)
    from rag_embedder.adapters.onnx import OnnxModel

    return OnnxModel(directory, settings.lone_threads)


class _Encoding(Model, Protocol):
    """A model that also computes."""

    def encode(self, batch: list[list[int]]) -> NDArray[np.float32]: ...


def _sparse() -> tuple[str, Bm25]:
    from rag_embedder.adapters.kiwi import KiwiAnalyzer

    return f"kiwi {version('kiwipiepy')}", Bm25(KiwiAnalyzer())


def _reranker(settings: Settings) -> Reranker | None:
    if not settings.reranker:
        return None
    from rag_embedder.adapters.crossencoder import CrossEncoderReranker

    return CrossEncoderReranker(settings.reranker, settings.device)


def _policy(settings: Settings) -> Policy:
    if settings.runtime == "torch" and settings.device != "cpu":
        return Policy(1, settings.batch_texts, settings.batch_tokens, settings.queue_texts)
    return Policy(settings.lanes, queue_texts=settings.queue_texts)
