"""The pictures of docs/operations.md: what `rag` prints about a real run of a minute. [FOLDER]."""

import asyncio
import io
import os
import random
import re
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count, cycle, islice
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from rag_client.client.aio import AsyncClient
from rag_client.models import events
from rag_client.transport.calls import NEVER
from rag_common.observability import logging
from rag_contract.errors import AppError, DeadlineExceeded
from rag_local.platform import Components, Platform, platform
from rag_local.program import StartFailed
from rag_local.service_processes import ROOT
from rag_local.signals import run_tool
from tools.bench.load import dev_token
from tools.bench.wording import passages, questions

# Each picture's name, and the command above it.
TERMINALS = {
    "top": "rag top --once",
    "trace": "rag trace ID",
    "trace-failed": "rag trace ID, of a search that came too late",
}
NAMES = tuple(f"{name}.svg" for name in TERMINALS)

_QUESTIONS = ("연차휴가는 며칠까지 이월할 수 있나요?", "How many days of annual leave carry over?")
_CALM_SECONDS, _INTO_BURST_SECONDS, _BURST_SECONDS = 15.0, 12.0, 25.0
# Small enough that a burst of documents fills it within seconds, and further ones are refused.
_QUEUE_TEXTS = "128"
_BURST_CALLERS, _BURST_PASSAGES = 16, 32
# Enough for a search on an idle machine, and too little beside a burst of documents.
_HURRY_SECONDS = 0.1
_COLUMNS = "112"
_FETCHED = re.compile(r"@font-face \{\{.*?\}\}\s*|<!--.*?-->\s*", re.DOTALL)
_LINES = '<g class="{unique_id}-matrix">'
_DATE = re.compile(r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


def main() -> int:
    home = Path(os.environ.get("RAG_HOME", ".rag")) / "pictures"
    models = Path(os.environ.get("EMBEDDER_MODELS_DIR", home.parent / "models"))
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    os.environ |= {
        "EMBEDDER_MODELS_DIR": str(models.resolve()),
        "EMBEDDER_QUEUE_TEXTS": _QUEUE_TEXTS,
    }
    logging.configure("local", "warning", "console")
    try:
        with platform(home, parts=Components(edge=True, traces=True)) as started:
            printed = asyncio.run(_printed(home, started))
    except StartFailed as error:
        sys.stderr.write(f"make pictures: {error}\n")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in printed.items():
        (folder / f"{name}.svg").write_text(framed(name, text), "utf-8")
        sys.stderr.write(f"{folder / name}.svg\n")
    return 0


async def _printed(home: Path, started: Platform) -> dict[str, str]:
    """What each command printed, with colours. Raises StartFailed if a command fails."""
    settings = started.access.settings
    authority = Path(settings["RAG_CA_FILE"])
    token = dev_token(home, "pictures")
    async with AsyncClient(
        started.access.target, tls=authority, token=token, timeout=40.0, retries=NEVER
    ) as client:
        for path in sorted((ROOT / "samples").glob("*/*")):
            await client.ingest(path)
        calls = Calls(client)
        async with calls.running(calls.flow):
            await asyncio.sleep(_CALM_SECONDS)
            trace = await _rag(["trace", _last(calls.answered)], settings)
            async with calls.running(calls.burst):
                await asyncio.sleep(_INTO_BURST_SECONDS)
                top = await _rag(["top", "--once"], settings)
                await asyncio.sleep(_BURST_SECONDS - _INTO_BURST_SECONDS)
            failed = await _rag(["trace", _last(calls.late)], settings)
    return {"top": top, "trace": trace, "trace-failed": failed}


def _last(trace_ids: list[str]) -> str:
    if not trace_ids:
        raise StartFailed("there is no call to show")
    return trace_ids[-1]


async def _rag(arguments: list[str], settings: Mapping[str, str]) -> str:
    """What the command prints on a terminal; niced, so that it changes the run little."""
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "19", str(Path(sys.executable).with_name("rag")), *arguments),
        env={**os.environ, **settings, "FORCE_COLOR": "1", "COLUMNS": _COLUMNS},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise StartFailed(f"`rag {arguments[0]}` failed; what is above says why")
    return printed.decode()


class Calls:
    """Calls of one tenant, and the trace ids of answered questions and of searches out of time."""

    def __init__(self, client: AsyncClient) -> None:
        self.answered: list[str] = []
        self.late: list[str] = []
        self._client = client
        self._searches, self._texts, self._numbers = questions(), passages(), count()
        self._questions = cycle(_QUESTIONS)

    @asynccontextmanager
    async def running(self, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """The calls go on inside the block."""
        task = asyncio.ensure_future(work())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def flow(self) -> None:
        """Searches, questions and searches in a hurry, each kind at its own mean rate a second."""
        kinds = (
            (self._search, 10.0),
            (self._stream, 1.5),
            (self._hurry, 0.7),
            (self._nonsense, 0.2),
        )
        async with asyncio.TaskGroup() as group:
            for call, rate in kinds:
                group.create_task(self._arrivals(group, call, rate))

    async def burst(self) -> None:
        """More documents than the model can embed; a refused one is not sent again."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_BURST_CALLERS):
                group.create_task(self._ingest_on())

    async def _arrivals(
        self, group: asyncio.TaskGroup, call: Callable[[], Awaitable[None]], rate: float
    ) -> None:
        while True:
            await asyncio.sleep(random.expovariate(rate))  # no secret
            group.create_task(_tolerant(call))

    async def _search(self) -> None:
        await self._client.search(next(self._searches))

    async def _nonsense(self) -> None:
        await self._client.search("")

    async def _stream(self) -> None:
        async for event in self._client.stream_answer(next(self._questions)):
            if isinstance(event, events.Completed) and not event.answer.skipped:
                self.answered.append(event.answer.trace_id)

    async def _hurry(self) -> None:
        """The trace begins here: a caller that gives up first gets no id."""
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        try:
            await self._client.search(
                next(self._searches),
                timeout=_HURRY_SECONDS,
                traceparent=f"00-{trace_id}-{span_id}-01",
            )
        except DeadlineExceeded:
            self.late.append(trace_id)

    async def _ingest_on(self) -> None:
        while True:
            text = "\n\n".join(islice(self._texts, _BURST_PASSAGES))
            name = f"rules-{next(self._numbers)}"
            with suppress(AppError):
                await self._client.ingest(text.encode(), collection="rules", document_id=name)
            await asyncio.sleep(0.5)


async def _tolerant(call: Callable[[], Awaitable[None]]) -> None:
    with suppress(AppError):
        await call()


def framed(name: str, printed: str) -> str:
    """The picture of a terminal, without the date, and without fonts from the network."""
    text = Text.from_ansi(_DATE.sub("", printed).rstrip())
    width = max(line.cell_len for line in text.split())
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(text, soft_wrap=True)
    # All spaces are kept: some viewers trim lines.
    kept = _LINES.replace(">", ' xml:space="preserve">')
    form = _FETCHED.sub("", CONSOLE_SVG_FORMAT).replace(_LINES, kept)
    return console.export_svg(title=TERMINALS[name], code_format=form, unique_id=f"rag-{name}")


if __name__ == "__main__":
    sys.exit(run_tool(main))
