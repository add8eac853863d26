"""Runs a GGUF model in this process with llama.cpp, over a private Unix socket."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx2
import xllamacpp

from rag_common.observability import tracing
from rag_common.settings import SettingsInvalid
from rag_contract import errors
from rag_generator.llm.model import ModelChunk, ModelInfo, Sampling
from rag_generator.llm.openai import OpenAIModel, OpenAIServer
from rag_generator.telemetry.metrics import GeneratorMetrics

# Waiting calls per answer being written; more would wait longer than callers do.
_MAX_WAITING = 4
_RETRY_AFTER = 2.0
# Seconds. A caller's deadline ends a slow answer long before; this detects a dead engine.
_CONNECT, _SILENCE = 5.0, 600.0
# Prompt tokens per batch.
_BATCH = 256


class LlamaModel:
    """A `LanguageModel` run by llama.cpp; an async context manager.

    Each of the `parallel` concurrent answers has `context_tokens` of its own. Entering loads the
    model, which blocks the interpreter for seconds: enter before serving. Entering raises
    SettingsInvalid.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        context_tokens: int,
        threads: int,
        parallel: int,
        instruments: GeneratorMetrics | None = None,
    ) -> None:
        self._info = ModelInfo(name, "llama", context_tokens)
        self._path = path
        self._threads = threads
        self._parallel = parallel
        self._instruments = instruments
        self._slots = asyncio.Semaphore(parallel)
        self._waiting = 0
        self._resources = AsyncExitStack()
        self._model: OpenAIModel

    @property
    def info(self) -> ModelInfo:
        """The model's name and the context of one answer."""
        return self._info

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            # 0700: no other user of the machine, and nothing on its network, reaches the socket.
            folder = stack.enter_context(TemporaryDirectory(prefix="llama-"))
            socket, key = Path(folder, "llama.sock"), secrets.token_urlsafe(32)
            engine = [await asyncio.to_thread(_engine, self._params(socket, key), self._path)]
            stack.callback(engine.clear)
            await self._check(socket, key)
            server = await stack.enter_async_context(_server(socket, key, self._instruments))
            self._model = server.model(self._info.name, self._info.context_tokens, self._slot)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    def write(self, system: str, user: str, sampling: Sampling) -> AsyncGenerator[ModelChunk, None]:
        """The chunks as they are written; closing this stops the model, even while it reads the prompt.

        Raises ResourceExhausted if too many calls wait, InputTooLong, Unavailable.
        """
        return self._model.write(system, user, sampling)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._waiting >= self._parallel * _MAX_WAITING:
            raise errors.QueueFull("the language model's queue is full", retry_after=_RETRY_AFTER)
        self._waiting += 1
        try:
            await self._acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def _acquire(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        with tracing.span("llama.queue", attributes={"rag.waiting": self._waiting}):
            await self._slots.acquire()

    async def _check(self, socket: Path, key: str) -> None:
        """Raise SettingsInvalid if the engine has reduced the context, which it does without an error."""
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(transport=transport, headers=headers) as client:
            properties = (await client.get("http://llama/props")).json()
        max_tokens = properties["default_generation_settings"]["n_ctx"]
        if max_tokens < self._info.context_tokens:
            raise SettingsInvalid(
                f"GENERATOR_LLAMA_CONTEXT_TOKENS is over the model's {max_tokens}"
            )

    def _params(self, socket: Path, key: str) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.hostnames = [str(socket)]
        params.api_keys = [key]
        params.verbosity = 0
        params.n_parallel = self._parallel
        params.n_ctx = self._parallel * self._info.context_tokens
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        # Between batches the engine checks for cancelled calls and serves other ones.
        params.n_batch = params.n_ubatch = _BATCH
        params.fit_params = False
        # A cached prompt would let one tenant detect what another has asked, by timing.
        params.cache_prompt = False
        params.cache_ram_mib = 0
        params.endpoint_slots = params.ui = False
        return params


def _server(socket: Path, key: str, instruments: GeneratorMetrics | None) -> OpenAIServer:
    return OpenAIServer(
        "http://llama/v1",
        lambda: key,
        connect_timeout=_CONNECT,
        first_token_timeout=_SILENCE,
        silence_timeout=_SILENCE,
        retries=0,
        socket=socket,
        # OpenTelemetry's conventions have no name for it.
        provider="llama.cpp",
        instruments=instruments,
    )


def _engine(params: Any, path: Path) -> Any:
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise SettingsInvalid(
            f"GENERATOR_LLAMA_MODEL {path} is not a model that llama.cpp can run"
        ) from error
