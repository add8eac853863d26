"""A server's connections, and the words that its models stream."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import openai
import structlog
from openai.types.chat import ChatCompletionChunk

from rag_common.metrics import Metrics
from rag_generator.adapters.openai.chat import Calls, Chat, address
from rag_generator.adapters.openai.chunks import ending, text
from rag_generator.adapters.openai.failures import translated, unavailable, wait_before_retry
from rag_generator.core import ModelInfo
from rag_generator.instruments import Instruments
from rag_generator.prompted import Piece, Sampling

log = structlog.get_logger()

Stream = openai.AsyncStream[ChatCompletionChunk]


class OpenAIServer:
    """One server and its connections, for the length of an `async with`.

    The timeouts are in seconds: `first_token_timeout` of all tries together until the server begins
    to answer, and of silence until the first words; `silence_timeout` of silence from then on.
    `retries` count tries after the first, none once the server has begun to answer. With `socket`
    the server is reached through that file, whatever host `url` names. `provider` is what
    OpenTelemetry's conventions call the server.
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
        instruments: Instruments | None = None,
    ) -> None:
        self._client = openai.AsyncOpenAI(
            base_url=url,
            # Asked for before each request: the key may be replaced while the service runs.
            api_key=_asked(api_key),
            max_retries=0,
            timeout=openai.Timeout(first_token_timeout, connect=connect_timeout, read=None),
            http_client=_through(socket) if socket else None,
        )
        self._patience = _Patience(first_token_timeout, silence_timeout, retries)
        told = instruments or Instruments(Metrics())
        self._calls = Calls(told, provider, {} if socket else address(url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.close()

    def model(self, name: str, context_tokens: int) -> "OpenAIModel":
        """The model that the server knows by `name`; whether it does shows in the first call."""
        self._calls.expect(name)
        info = ModelInfo(name, "openai", context_tokens)
        return OpenAIModel(self._client, info, self._patience, self._calls)


def _asked(api_key: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    async def ask() -> str:
        # The library refuses to send none; servers that want none ignore it.
        return api_key() or "none"

    return ask


@dataclass(frozen=True, slots=True)
class _Patience:
    first_token: float
    silence: float
    retries: int


class OpenAIModel:
    """One of a server's models, as a `LanguageModel`."""

    def __init__(
        self, client: openai.AsyncOpenAI, info: ModelInfo, patience: _Patience, calls: Calls
    ) -> None:
        self._client = client
        self._info = info
        self._patience = patience
        self._calls = calls

    @property
    def info(self) -> ModelInfo:
        """Its name, and the context that it was configured with."""
        return self._info

    async def write(
        self, system: str, user: str, sampling: Sampling
    ) -> AsyncGenerator[Piece, None]:
        """Words as they come. Closing this closes the connection, which stops the server.

        The last piece has no words; its token counts are 0 where the server does not count.
        Raises Unavailable, ResourceExhausted, DeadlineExceeded, ModelNotFound, InvalidArgument.
        """
        last = Piece("")
        with self._calls.begun(self._info.name, sampling) as chat:
            with translated(self._info.name, chat):
                async with await self._opened(system, user, sampling, chat) as stream:
                    while (chunk := await self._heard(stream, chat)) is not None:
                        last = ending(last, chunk)
                        if words := text(chunk):
                            chat.words()
                            yield Piece(words)
            chat.ended(last)
            if last.finish is None:
                raise unavailable("the language model's server stopped in the middle")
        yield last

    async def _opened(self, system: str, user: str, sampling: Sampling, chat: Chat) -> Stream:
        """The server's answer from its first byte on; trying again is safe only until then."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._patience.first_token
        for attempt in count():
            try:
                async with asyncio.timeout_at(end):
                    return await self._asked(system, user, sampling, chat.headers)
            except openai.APIError as error:
                wait = wait_before_retry(error, attempt)
                if wait is None or attempt >= self._patience.retries or clock() + wait >= end:
                    raise
                log.info("language_model_retried", error=type(error).__name__, attempt=attempt + 1)
                chat.again(error, attempt + 1)
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _asked(
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

    async def _heard(self, stream: Stream, chat: Chat) -> ChatCompletionChunk | None:
        patience = self._patience
        async with asyncio.timeout(patience.silence if chat.worded else patience.first_token):
            return await anext(stream, None)


def _through(socket: Path) -> httpx2.AsyncClient:
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    return openai.DefaultAsyncHttpxClient(transport=transport)
