"""Mutated documents of every format: read or refused, in bounded time, and the next one is read."""

import io
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_contract.errors import InvalidArgument
from rag_ingestor.chunking.chunks import ChunkSettings, SourceFile, split
from rag_ingestor.parsing.parsed import Limits
from rag_ingestor.sandbox.pool import SplitterPool, WorkerSettings
from tests.support.fuzz import examples
from tests.support.ingestor import documents, hostile, office

LIMITS = Limits(max_bytes=1 << 20, max_expanded=1 << 22, max_pages=50, max_chars=200_000)
TABLE = [["직급", "금액"], ["사원", "80,000"], ["부장", "160,000"]]
MARKDOWN = """---
title: 규정
---
# 휴가 `A` [링크](http://x)

- 연차는 15일이다.

| 구분 | 일수 |
| --- | --- |
| 연차 | 15 |

```
코드
```
"""
HTML = """<!DOCTYPE html><html><head><meta charset="utf-8"><title>규정</title></head><body>
<h1>휴가</h1><p style="display:none">숨김</p><table><tr><td>연차<td>15</table><pre>a</pre>"""
SEEDS: dict[str, tuple[bytes, str]] = {
    "text": (documents.KOREAN.encode(), "a.txt"),
    "cp949": (documents.KOREAN.encode("cp949"), "a.txt"),
    "utf-16": (documents.KOREAN.encode("utf-16"), "a.txt"),
    "markdown": (MARKDOWN.encode(), "a.md"),
    "html": (HTML.encode(), "a.html"),
    "docx": (documents.handbook(), "a.docx"),
    "hwpx": (office.made("rules.hwpx"), "a.hwpx"),
    "pptx": (office.presentation([("제목", "본문")], "메모", TABLE), "a.pptx"),
    "rtf": (office.rtf("휴가 규정", "연차는 15일이다."), "a.rtf"),
    "csv": ('이름,비고\n"김, 하늘",없음\n'.encode(), "a.csv"),
    "mail": (office.mail("본문이다.\n> 옛말", {"a.docx": documents.handbook()}), "a.eml"),
    "laughs": (documents.entities(), "a.docx"),
}
# Read by libraries that are not written in Python: in a worker alone.
NATIVE: dict[str, bytes] = {
    "xlsx": office.xlsx({"가": TABLE, "나": TABLE}, [(0, 0, 0, 1)]),
    "xls": office.xls({"가": TABLE}),
    "ods": office.ods("가", TABLE),
    "hwp": office.made("rules.hwp"),
    "image": office.PNG,
    "pages": documents.pdf([[documents.KOREAN], ["둘째"]], ["제1장", "제2장"]),
    "locked": documents.pdf([["비밀"]], password="x"),
    "endless": hostile.endless_outline(),
}
_TOKENS = (
    *(b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"<!DOCTYPE w [", b"<!ENTITY a 'b'>", b"&a;"),
    *(b"<w:tbl>", b"<w:p>", b"</w:p>", b"<div>" * 300, b"]]>", b"<![CDATA[", b"\x80" * 9),
    *(b"PK\x01\x02", b"PK\x05\x06", b"%PDF-", b"endobj", b"stream", b"/Length 99999999"),
    *(b"/Count -1", b"/Kids [2 0 R]", b"2147483648", b"-1"),
    *(b"```", b"|" * 99, b"[" * 99, b"> " * 99),
)
Edit = tuple[str, float, float, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(("put", "drop", "copy", "flip", "end")),
        st.floats(0, 1),
        st.floats(0, 0.2),
        st.one_of(st.sampled_from(_TOKENS), st.binary(max_size=8)),
    ),
    max_size=5,
)
fuzzed = settings(max_examples=examples(60), suppress_health_check=list(HealthCheck))


def edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """The content after these edits, whose places are shares of its length."""
    for kind, place, share, token in edits:
        at = int(place * len(content))
        until = min(len(content), at + 1 + int(share * len(content)))
        piece = content[at:until]
        middle = {
            "put": token + piece,
            "drop": token,
            "copy": piece + piece,
            "flip": bytes(byte ^ 1 << at % 8 for byte in piece[:4]) + piece[4:],
            "end": token,
        }[kind]
        content = content[:at] + middle + (b"" if kind == "end" else content[until:])
    return content


def repacked(content: bytes, edits: Sequence[Edit], at: int) -> bytes:
    """The archive with one of its members edited, as good an archive as before."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    name = sorted(members)[at % len(members)]
    return documents.archive({**members, name: edited(members[name], edits)})


@pytest.mark.parametrize("kind", SEEDS)
def test_a_mutated_document_or_a_mutated_part_of_it_is_read_or_refused(kind: str) -> None:
    content, filename = SEEDS[kind]
    archive = zipfile.is_zipfile(io.BytesIO(content))

    @fuzzed
    @given(
        EDITS,
        st.sampled_from(("", "text/html", "text/plain; charset=euc-kr", "a/b;c=d")),
        st.integers(-10, 20) if archive else st.just(-1),
    )
    def fuzz(edits: list[Edit], declared: str, member: int) -> None:
        mutated = edited(content, edits) if member < 0 else repacked(content, edits, member)
        with suppress(InvalidArgument):
            split(SourceFile(mutated, filename, declared), LIMITS, ChunkSettings())

    fuzz()


@pytest.fixture(scope="module")
async def splitter() -> AsyncIterator[SplitterPool]:
    """One worker at a time, with little memory and little time."""
    bounds = WorkerSettings(
        workers=1, memory_bytes=512 << 20, cpu_seconds=5, wall_seconds=20, inline_bytes=0
    )
    async with SplitterPool(LIMITS, ChunkSettings(), bounds) as opened:
        yield opened


@pytest.mark.parametrize("kind", [*NATIVE, *SEEDS])
async def test_a_worker_reads_or_refuses_a_mutated_document_and_reads_the_next(
    splitter: SplitterPool, kind: str
) -> None:
    content = NATIVE[kind] if kind in NATIVE else SEEDS[kind][0]
    for edits in _drawn(examples(10)):
        with suppress(InvalidArgument):
            await splitter.split(SourceFile(edited(content, edits), recognised={}))
    assert (await splitter.split(SourceFile(MARKDOWN.encode(), "a.md"))).title == "규정"


def _drawn(count: int) -> list[list[Edit]]:
    """So many lists of edits; the worker is asked in the loop, where hypothesis does not go."""
    drawn: list[list[Edit]] = []

    @settings(max_examples=count, database=None, derandomize=True)
    @given(EDITS)
    def draw(edits: list[Edit]) -> None:
        drawn.append(edits)

    _run: Callable[[], Any] = draw
    _run()
    return drawn
