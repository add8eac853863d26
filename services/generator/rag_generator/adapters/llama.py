"""A GGUF model run in this process by llama.cpp, which is asked over a socket only we can reach."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import httpx2
import xllamacpp

from rag_common import errors, tracing
from rag_common.settings import SettingsInvalid
from rag_generator.adapters.openai import OpenAIModel, OpenAIServer
from rag_generator.core import ModelInfo
from rag_generator.instruments import Instruments
from rag_generator.prompted import Piece, Sampling

# Waiting for each answer that is being written; more would wait longer than anyone listens.
_WAITING = 4
_RETRY_AFTER = 2.0
# Seconds. A caller's deadline ends a slow answer long before; this ends a dead engine.
_CONNECT, _SILENCE = 5.0, 600.0
# Tokens of a prompt that are read at once.
_BATCH = 256


class LlamaModel:
    """A `LanguageModel` for the length of an `async with`.

    Each of `parallel` answers at once has `context_tokens` to itself. Entering loads the model,
    which holds the interpreter for seconds: enter before serving. Raises SettingsInvalid.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        context_tokens: int,
        threads: int,
        parallel: int,
        instruments: Instruments | None = None,
    ) -> None:
        self._info = ModelInfo(name, "llama", context_tokens)
        self._path = path
        self._threads = threads
        self._parallel = parallel
        self._instruments = instruments
        self._turns = asyncio.Semaphore(parallel)
        self._waiting = 0
        self._opened = AsyncExitStack()
        self._model: OpenAIModel

    @property
    def info(self) -> ModelInfo:
        """Its name, and the context of one answer."""
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
            self._model = server.model(self._info.name, self._info.context_tokens)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opened.aclose()

    async def write(
        self, system: str, user: str, sampling: Sampling
    ) -> AsyncGenerator[Piece, None]:
        """Words as they come; closing this stops the model, in the middle of a prompt too.

        Raises ResourceExhausted where too many wait already, InputTooLong, Unavailable.
        """
        async with self._turn(), aclosing(self._model.write(system, user, sampling)) as pieces:
            async for piece in pieces:
                yield piece

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= self._parallel * _WAITING:
            raise errors.ResourceExhausted(
                "the language model has too many answers to write", retry_after=_RETRY_AFTER
            )
        self._waiting += 1
        try:
            await self._acquired()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def _acquired(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        with tracing.span("llama.queue", attributes={"rag.waiting": self._waiting}):
            await self._turns.acquire()

    async def _check(self, socket: Path, key: str) -> None:
        """The engine quietly cuts a context that is longer than the model was trained for."""
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(transport=transport, headers=headers) as client:
            facts = (await client.get("http://llama/props")).json()
        most = facts["default_generation_settings"]["n_ctx"]
        if most < self._info.context_tokens:
            raise SettingsInvalid(f"GENERATOR_LLAMA_CONTEXT_TOKENS is over the model's {most}")

    def _params(self, socket: Path, key: str) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.hostnames = [str(socket)]
        params.api_keys = [key]
        params.verbosity = 0
        params.n_parallel = self._parallel
        params.n_ctx = self._parallel * self._info.context_tokens
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        # Between batches the engine looks whether the caller has gone, and gives others a turn.
        params.n_batch = params.n_ubatch = _BATCH
        params.fit_params = False
        # A kept prompt would let one tenant measure what another has asked.
        params.cache_prompt = False
        params.cache_ram_mib = 0
        params.endpoint_slots = params.ui = False
        return params


def _server(socket: Path, key: str, instruments: Instruments | None) -> OpenAIServer:
    return OpenAIServer(
        "http://llama/v1",
        lambda: key,
        connect_timeout=_CONNECT,
        first_token_timeout=_SILENCE,
        silence_timeout=_SILENCE,
        retries=0,
        socket=socket,
        # The conventions name no local runtime: its own name then.
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
