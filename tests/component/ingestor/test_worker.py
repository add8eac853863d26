"""Worker processes: what a document may do to them, and what is left of them afterwards."""

import asyncio
import base64
import email
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tools.eval.parsing.corpus import samples

from rag_contract.errors import InvalidArgument, Overloaded, Unavailable
from rag_ingestor.chunking.chunks import ChunkSettings, SourceFile, split
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parse import Limits
from rag_ingestor.sandbox.pool import SplitterPool, WorkerSettings
from tests.support.ingestor import documents, hostile, office
from tests.support.processes import alive, arguments, children

MARKDOWN = SourceFile("# 휴가\n\n연차는 15일이다.\n".encode(), "a.md")
_WORKER = "rag_ingestor.sandbox.worker"
# Two million sentences: many seconds of work in any case.
SLOW = SourceFile(b". " * 2_000_000)


def workers() -> list[int]:
    """The worker processes of this process."""
    return [pid for pid in alive(children(os.getpid())) if _WORKER in arguments(pid)]


def environment(process: int) -> set[str]:
    """The names of the environment variables that a process was started with."""
    entries = Path(f"/proc/{process}/environ").read_text().rstrip("\0").split("\0")
    return {entry.partition("=")[0] for entry in entries}


def bounds(process: int) -> dict[str, str]:
    """The hard limits of a process, by name."""
    lines = Path(f"/proc/{process}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[47:68].strip() for line in lines}


def open_files(process: int) -> list[str]:
    """What a process has open, but for its sockets."""
    links = [os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()]
    return [link for link in links if not link.startswith("socket:")]


@asynccontextmanager
async def splitting(**settings: float) -> AsyncIterator[SplitterPool]:
    """A splitter that leaves no process behind."""
    async with SplitterPool(settings=WorkerSettings(**settings)) as splitter:  # type: ignore[arg-type]
        yield splitter
    assert workers() == []


async def refusal(splitter: SplitterPool, document: SourceFile) -> str:
    with pytest.raises(InvalidArgument) as caught:
        await splitter.split(document)
    (violation,) = caught.value.violations
    assert violation.field == "content"
    return violation.description


MAILS = [
    *(
        "euc-kr",
        "ks_c_5601-1987",
        "cp949",
        "iso-2022-kr",
        "iso-8859-2",
        "windows-1251",
        "gb2312",
        "big5",
    ),
    *("shift_jis", "euc-jp", "koi8-r", "x-unknown"),
]


def in_charset(charset: str) -> bytes:
    """A message whose subject and file name are in this charset, with a message and a photograph in it."""
    word = base64.b64encode("휴가".encode("cp949")).decode()
    message = email.message_from_bytes(office.mail("text", {"a.eml": office.mail("inner")}))
    message.replace_header("Subject", f"=?{charset}?B?{word}?=")
    return message.as_bytes()


async def test_a_worker_reads_every_format_and_charset_as_this_process_would() -> None:
    """A worker can open no file after its start: what a library imports late would fail there alone."""
    files = [SourceFile(one.content, one.name) for one in samples()]
    files += [SourceFile(in_charset(charset), "a.eml") for charset in MAILS]
    files += [
        SourceFile(rf"{{\rtf1\ansi\ansicpg{page} \'c8\'de text\par}}".encode(), "a.rtf")
        for page in (1250, 1251, 949, 932, 874)
    ]
    async with splitting() as splitter:
        for file in files:
            assert await splitter.split(file) == split(file, Limits(), ChunkSettings()), (
                file.filename
            )
        assert len(workers()) == 1


@pytest.mark.parametrize(
    "document",
    [
        MARKDOWN,
        SourceFile(documents.handbook(200)),
        SourceFile(documents.pdf([[documents.KOREAN]] * 30)),
        SourceFile("문장이다. 그리고 또 문장이다.\n\n".encode() * 5000),
    ],
    ids=["markdown", "docx", "pdf", "long text"],
)
async def test_a_worker_splits_as_this_process_would(document: SourceFile) -> None:
    async with splitting() as splitter:
        assert await splitter.split(document) == split(document, Limits(), ChunkSettings())
        assert len(workers()) == 1


async def test_a_refusal_crosses_the_pipe_and_leaves_the_worker_usable() -> None:
    async with splitting() as splitter:
        assert await refusal(splitter, SourceFile(documents.blank_pdf(1))) == reasons.SCANNED
        before = workers()
        assert (await splitter.split(MARKDOWN)).title == "휴가"
        assert workers() == before != []


async def test_limits_and_chunk_sizes_reach_the_worker() -> None:
    async with SplitterPool(Limits(max_pages=2), ChunkSettings(10, 20, 0, 0)) as splitter:
        assert await refusal(splitter, SourceFile(documents.blank_pdf(3))) == reasons.TOO_MANY_PAGES
        many = await splitter.split(SourceFile(documents.handbook(10)))
        assert len(many.chunks) > 10


async def test_too_many_bytes_are_refused_without_a_worker() -> None:
    async with SplitterPool(Limits(max_bytes=10)) as splitter:
        assert await refusal(splitter, MARKDOWN) == reasons.TOO_LARGE
        assert workers() == []


@pytest.mark.parametrize("settings", [{"wall_seconds": 0.5}, {"cpu_seconds": 0}], ids=str)
async def test_a_document_that_takes_too_long_is_refused_and_its_worker_killed(
    settings: dict[str, float],
) -> None:
    async with splitting(**settings) as splitter:
        assert await refusal(splitter, SLOW) == reasons.OVER_LIMITS
        assert workers() == []
        assert (await splitter.split(MARKDOWN)).chunks


async def test_a_document_that_takes_too_much_memory_is_refused() -> None:
    paragraphs = "<w:p><w:r><w:t>a</w:t></w:r></w:p>" * 600_000
    async with splitting(memory_bytes=300 << 20) as splitter:
        document = SourceFile(documents.wordml(paragraphs))
        assert await refusal(splitter, document) == reasons.OVER_LIMITS
        assert (await splitter.split(MARKDOWN)).chunks


async def test_a_cancelled_call_kills_its_worker() -> None:
    async with splitting() as splitter:
        await splitter.split(MARKDOWN)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await splitter.split(SLOW)
        assert workers() == []
        assert (await splitter.split(MARKDOWN)).chunks


async def test_a_call_cancelled_while_its_worker_starts_leaves_no_process() -> None:
    async with splitting() as splitter:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await splitter.split(SLOW)
        assert workers() == []


async def test_a_worker_that_died_while_idle_is_replaced() -> None:
    async with splitting() as splitter:
        await splitter.split(MARKDOWN)
        for process in workers():
            os.kill(process, signal.SIGKILL)
        assert (await splitter.split(MARKDOWN)).chunks


async def test_a_worker_is_replaced_after_its_number_of_documents() -> None:
    async with splitting(documents_per_worker=2) as splitter:
        await splitter.split(MARKDOWN)
        assert len(workers()) == 1
        await splitter.split(MARKDOWN)
        assert workers() == []


async def test_an_idle_worker_ends() -> None:
    async with splitting(idle_seconds=0.0) as splitter:
        await splitter.split(MARKDOWN)
        async with asyncio.timeout(20):
            while workers():
                await asyncio.to_thread(os.sched_yield)


async def test_no_more_workers_run_than_allowed() -> None:
    async with splitting(workers=2) as splitter:
        await asyncio.gather(*(splitter.split(MARKDOWN) for _ in range(10)))
        assert len(workers()) == 2


async def test_a_full_queue_refuses_at_once() -> None:
    async with splitting(workers=1, queue_limit=0, wall_seconds=1.0) as splitter:
        slow, refused = await asyncio.gather(
            splitter.split(SLOW), splitter.split(MARKDOWN), return_exceptions=True
        )
        assert isinstance(slow, InvalidArgument)
        assert isinstance(refused, Overloaded)
        assert refused.retry_after


async def test_a_worker_that_cannot_start_is_not_the_documents_fault() -> None:
    async with splitting(memory_bytes=1 << 20, start_seconds=0.01) as splitter:
        with pytest.raises(Unavailable):
            await splitter.split(MARKDOWN)


async def test_a_worker_has_no_files_no_environment_and_no_rights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RETRIEVER_QDRANT_API_KEY", "very-secret")
    async with splitting() as splitter:
        await splitter.split(MARKDOWN)
        [process] = workers()
        assert environment(process) == {"PYTHONPATH", "LANG"}
        assert not any("very-secret" in argument for argument in arguments(process))
        assert set(open_files(process)) == {"/dev/null"}
        limits = bounds(process)
        closed = ("Max open files", "Max file size", "Max processes", "Max core file size")
        assert {limits[name] for name in closed} == {"0"}
        assert limits["Max address space"] == str(1 << 30)


@pytest.mark.parametrize("kind", hostile.REFUSED)
async def test_a_worker_survives_a_hostile_document(hurt: SplitterPool, kind: str) -> None:
    content, expected = hostile.REFUSED[kind]
    assert await refusal(hurt, SourceFile(content)) == expected
    assert (await hurt.split(MARKDOWN)).title == "휴가"


@pytest.mark.parametrize(
    "make",
    [
        lambda: hostile.swelling_pdf(100),
        lambda: hostile.swelling_pdf(600, layers=2),
        lambda: hostile.swelling_pdf(600, layers=3),
        hostile.endless_outline,
    ],
    ids=["packed", "packed twice", "packed three times", "endless"],
)
async def test_a_pdf_that_swells_is_read_or_refused_and_a_worker_is_there_for_the_next(
    hurt: SplitterPool, make: Callable[[], bytes]
) -> None:
    with suppress(InvalidArgument):
        await hurt.split(SourceFile(make()))
    assert (await hurt.split(MARKDOWN)).title == "휴가"


@pytest.fixture(scope="module")
async def hurt() -> AsyncIterator[SplitterPool]:
    """One worker for all hostile documents, one after the other."""
    bounds = WorkerSettings(workers=1, memory_bytes=512 << 20, cpu_seconds=10)
    async with SplitterPool(settings=bounds) as splitter:
        yield splitter
