"""A language model behind an OpenAI-compatible server, which stops after its first words until it is let go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tests.support.generator.neighbour import finish, words

NAME = "gated"
FIRST, SECOND = "The warehouse opens ", "at seven."

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


@dataclass(slots=True)
class GatedModel:
    """`go` lets every answer end, `left` counts the clients that went away before, `asked` all."""

    url: str = ""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    left: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """The settings by which the generator asks it."""
        return {"GENERATOR_OPENAI_URL": self.url, "GENERATOR_OPENAI_MODELS": NAME}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request: the first words at once, the others when it is let go."""
        self.asked += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
        writer.write(_HEAD + "".join(words(FIRST)).encode())
        going, leaving = asyncio.ensure_future(self.go.wait()), asyncio.ensure_future(reader.read())
        await asyncio.wait([going, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not going.done():
            self.left += 1
        writer.write("".join([*words(SECOND), *finish("stop")]).encode())
        going.cancel()
        leaving.cancel()
        writer.close()


class Model(Protocol):
    """A language model that can be served: `go` lets every answer end."""

    url: str
    go: asyncio.Event

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""


ModelT = TypeVar("ModelT", bound=Model)


@asynccontextmanager
async def served(model: ModelT) -> AsyncIterator[ModelT]:
    """The model on a free port of this machine, at its `url`."""
    listener = await asyncio.start_server(model.answer, "127.0.0.1", 0)
    model.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield model
    finally:
        model.go.set()
        listener.close()
