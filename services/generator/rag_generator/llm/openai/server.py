"""An OpenAI-compatible server and its models, which stream chat completions."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx2
import openai
import structlog
from openai.types.chat import ChatCompletionChunk

from rag_common.observability.metrics import Metrics
from rag_generator.llm.model import Finish, ModelChunk, ModelInfo, Sampling
from rag_generator.llm.openai.chat import ChatCall, ChatInstrumentation, address
from rag_generator.llm.openai.failures import translate_errors, unavailable, wait_before_retry
from rag_generator.telemetry.metrics import GeneratorMetrics

log = structlog.get_logger()

Admission = Callable[[], AbstractAsyncContextManager[None]]
Stream = openai.AsyncStream[ChatCompletionChunk]


class OpenAIServer:
    """One server and its connections; an async context manager.

    Timeouts are in seconds: `first_token_timeout` limits all attempts together until the response
    begins, and then each wait until the first text; `silence_timeout` limits each wait after that.
    `retries` is the number of attempts after the first; a response that has begun is not retried.
    With `socket`, that Unix socket is used whatever host `url` names. `provider` is the server's
    name in OpenTelemetry's conventions.
    """

    def __init__(
        self,
        url: str,
        api_key: Callable[[], str],
        *,
        connect_timeout: float,
        first_token_timeout: float,
        silence_timeout: float,
        retries: int,
        socket: Path | None = None,
        provider: str = "openai",
        instruments: GeneratorMetrics | None = None,
    ) -> None:
        self._client = openai.AsyncOpenAI(
            base_url=url,
            # Read before each request: the key may be rotated while the service runs.
            api_key=_key_provider(api_key),
            max_retries=0,
            timeout=openai.Timeout(first_token_timeout, connect=connect_timeout, read=None),
            http_client=_socket_client(socket) if socket else None,
        )
        self._timeouts = _Timeouts(first_token_timeout, silence_timeout, retries)
        metrics = instruments or GeneratorMetrics(Metrics())
        self._calls = ChatInstrumentation(metrics, provider, {} if socket else address(url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    def model(
        self, name: str, context_tokens: int, admission: Admission = nullcontext
    ) -> "OpenAIModel":
        """The model with this name on the server. A wrong name fails in the first call only.

        `admission` opens a context around each call, which may wait or raise AppError.
        """
        self._calls.register(name)
        info = ModelInfo(name, "openai", context_tokens)
        return OpenAIModel(self._client, info, self._timeouts, self._calls, admission)


def _key_provider(api_key: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    async def provide() -> str:
        # The SDK requires a key; servers without authentication ignore it.
        return api_key() or "none"

    return provide


@dataclass(frozen=True, slots=True)
class _Timeouts:
    first_token: float
    silence: float
    retries: int


class OpenAIModel:
    """A model of the server, as a `LanguageModel`."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        info: ModelInfo,
        timeouts: _Timeouts,
        calls: ChatInstrumentation,
        admission: Admission,
    ) -> None:
        self._client = client
        self._info = info
        self._timeouts = timeouts
        self._calls = calls
        self._admission = admission

    @property
    def info(self) -> ModelInfo:
        """The model's name and its configured context."""
        return self._info

    async def write(
        self, system: str, user: str, sampling: Sampling
    ) -> AsyncGenerator[ModelChunk, None]:
        """Yield chunks as they arrive. Closing this closes the connection, which stops the server.

        The last chunk has no text; its token counts are 0 if the server does not report them.
        Raises Unavailable, ResourceExhausted, DeadlineExceeded, ModelNotFound, InvalidArgument.
        """
        last = ModelChunk("")
        async with self._admission():
            with self._calls.call(self._info.name, sampling) as chat:
                with translate_errors(self._info.name, chat):
                    async with await self._open(system, user, sampling, chat) as stream:
                        while (chunk := await self._next_chunk(stream, chat)) is not None:
                            last = merge_end(last, chunk)
                            if delta := text(chunk):
                                chat.on_text()
                                yield ModelChunk(delta)
                chat.on_end(last)
                if last.finish is None:
                    raise unavailable("the language model's response ended early")
        yield last

    async def _open(self, system: str, user: str, sampling: Sampling, chat: ChatCall) -> Stream:
        """Open the response stream, with retries, which are safe only until the response begins."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._timeouts.first_token
        for attempt in count():
            try:
                async with asyncio.timeout_at(end):
                    return await self._request(system, user, sampling, chat.headers)
            except openai.APIError as error:
                wait = wait_before_retry(error, attempt)
                if wait is None or attempt >= self._timeouts.retries or clock() + wait >= end:
                    raise
                log.info("language_model_retried", error=type(error).__name__, attempt=attempt + 1)
                chat.on_retry(error, attempt + 1)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _request(
        self, system: str, user: str, sampling: Sampling, headers: Mapping[str, str]
    ) -> Stream:
        return await self._client.chat.completions.create(
            model=self._info.name,
            messages=[
                {"role": "system", "content": system},
                {"role": "user", "content": user},
            ],
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            seed=openai.omit if sampling.seed is None else sampling.seed,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=headers,
        )

    async def _next_chunk(self, stream: Stream, chat: ChatCall) -> ChatCompletionChunk | None:
        timeouts = self._timeouts
        async with asyncio.timeout(timeouts.silence if chat.has_text else timeouts.first_token):
            return await anext(stream, None)


def _socket_client(socket: Path) -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    return openai.DefaultAsyncHttpxClient(transport=transport)


_FINISH = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "content_filter": Finish.CONTENT_FILTER,
}


def text(chunk: ChatCompletionChunk) -> str:
    """The text of a chunk, often empty."""
    return getattr(getattr(_choice(chunk), "delta", None), "content", None) or ""


def merge_end(last: ModelChunk, chunk: ChatCompletionChunk) -> ModelChunk:
    """`last` with the finish reason and the token counts of `chunk`, if it has them."""
    if reason := getattr(_choice(chunk), "finish_reason", None):
        last = replace(last, finish=_FINISH.get(reason, Finish.STOP))
    if usage := getattr(chunk, "usage", None):
        last = replace(
            last,
            input_tokens=usage.prompt_tokens or 0,
            output_tokens=usage.completion_tokens or 0,
        )
    return last


def _choice(chunk: ChatCompletionChunk) -> Any:
    """The chunk's only choice, or None. The SDK does not validate: any field may be missing."""
    choices = getattr(chunk, "choices", None)
    return choices[0] if choices else None
