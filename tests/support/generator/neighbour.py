"""The generator's neighbours, played by a script: a language model, and an OpenAI-compatible server."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rag_generator.llm.model import Finish, ModelChunk, ModelInfo, Sampling


class ScriptedModel:
    """A `LanguageModel` that writes the given words, whatever it is asked; `hangs` before the end.

    An `error` is raised in place of the end, after the words; `away`, which a test may set, before.
    """

    def __init__(
        self,
        *words: str,
        finish: Finish = Finish.STOP,
        context: int = 4096,
        hangs: bool = False,
        error: Exception | None = None,
    ) -> None:
        self.away: Exception | None = None
        self._error = error
        self._words = words
        self._finish = finish
        self._hangs = hangs
        self.info = ModelInfo("scripted", "scripted", context)
        self.asked: list[tuple[str, str, Sampling]] = []
        self.stopped = False

    async def write(
        self, system: str, user: str, sampling: Sampling
    ) -> AsyncGenerator[ModelChunk, None]:
        self.asked.append((system, user, sampling))
        try:
            if self.away:
                raise self.away
            for word in self._words:
                yield ModelChunk(word)
            if self._hangs:
                await asyncio.Event().wait()
            if self._error:
                raise self._error
            yield ModelChunk("", self._finish, 11, 7)
        finally:
            self.stopped = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send, event by event, and then: `end` well, `cut` the line, `hang`, or `ping` for ever."""

    status: int = 200
    headers: tuple[str, ...] = ("content-type: text/event-stream",)
    events: tuple[str, ...] = ()
    then: str = "end"


@dataclass(slots=True)
class ScriptedServer:
    """Answers each request with the next reply, and with the last one from then on."""

    replies: Sequence[Reply]
    url: str = ""
    requests: list[dict[str, object]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def keys(self) -> list[str]:
        """The bearer key of each request, in small letters."""
        return [head["authorization"].removeprefix("bearer ") for head in self.heads]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request. `left` is set when the client has gone before the end."""
        sent, request = await _request(reader)
        self.heads.append(sent)
        self.requests.append(request)
        self.asked.set()
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        lines = (f"HTTP/1.1 {reply.status} Scripted", *reply.headers)
        head = (*lines, "transfer-encoding: chunked", "connection: close", "", "")
        writer.write("\r\n".join(head).encode())
        for event in reply.events:
            writer.write(_chunk(event.encode()))
        if reply.then == "ping":
            await _pinging(reader, writer)
        if reply.then in ("hang", "ping"):
            await reader.read()
            self.left.set()
        if reply.then == "end":
            writer.write(_chunk(b""))
        writer.close()


@asynccontextmanager
async def serving(*replies: Reply) -> AsyncIterator[ScriptedServer]:
    """The server on a free port of this machine."""
    script = ScriptedServer(replies)
    listener = await asyncio.start_server(script.answer, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    async with listener:
        yield script


def words(*texts: str) -> tuple[str, ...]:
    """The events that stream these words."""
    return tuple(_event({"choices": [{"index": 0, "delta": {"content": text}}]}) for text in texts)


def finish(reason: str) -> tuple[str, ...]:
    """The events that end an answer, without a count of tokens."""
    ending = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    return (_event(ending), "data: [DONE]\n\n")


def usage(asked: int, written: int) -> str:
    """The event that counts tokens; it comes before the end."""
    counts = {"prompt_tokens": asked, "completion_tokens": written}
    return _event({"choices": [], "usage": counts})


def refusal(status: int, *headers: str, **error: object) -> Reply:
    """An error in OpenAI's form."""
    body = json.dumps({"error": {"message": "SECRET of the server", **error}})
    return Reply(status, ("content-type: application/json", *headers), (body,))


def _event(data: Mapping[str, object]) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _pinging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Comments that keep the connection alive, until the client leaves."""
    leaving = asyncio.ensure_future(reader.read())
    while not leaving.done():
        writer.write(_chunk(b": ping\n\n"))
        await asyncio.wait([leaving], timeout=0.05)


async def _request(reader: asyncio.StreamReader) -> tuple[dict[str, str], dict[str, object]]:
    """The headers, in small letters, and the body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    body: dict[str, object] = json.loads(await reader.readexactly(int(headers["content-length"])))
    return headers, body
