"""Scanned pages and images: recognised by Tesseract, within bounds, and said where nothing was read."""

import asyncio
import io
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from rag_common.context import CALL, Call
from rag_contract.errors import DeadlineExceeded, InvalidArgument
from rag_ingestor.chunking.chunks import SourceFile, Split
from rag_ingestor.ocr.splitter import RecognisingSplitter
from rag_ingestor.ocr.tesseract import Tesseract
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import Unread
from rag_ingestor.sandbox.pool import SplitterPool
from tests.support.parts import missing, tool
from tests.support.processes import alive, arguments, children
from tests.support.waiting import until

_FONT = Path("/usr/share/fonts/truetype/nanum/NanumGothic.ttf")
_INSTALL = "apt-get install tesseract-ocr tesseract-ocr-kor fonts-nanum"
LEAVE = "연차 휴가는 입사 일 년 뒤에 생긴다."
COSTS = "출장비는 닷새 안에 정산한다."


def scan(*lines: str, width: int = 1600) -> Image.Image:
    """A scanned page."""
    if not _FONT.is_file():
        missing(f"the font Nanum Gothic is missing: {_INSTALL}")
    image = Image.new("L", (width, 500), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(_FONT), 48)
    for at, line in enumerate(lines):
        draw.text((60, 60 + 90 * at), line, fill=0, font=font)
    return image


def png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def scanned_pdf(*pages: Image.Image | str) -> bytes:
    """A PDF of scanned pages, and of pages with a line of text."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(595, 842))
    for page in pages:
        if isinstance(page, str):
            canvas.drawString(60, 700, page)
        else:
            canvas.drawImage(ImageReader(page), 20, 500, 555, 555 * page.height / page.width)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


@pytest.fixture(scope="module")
def engine() -> Tesseract:
    tool("tesseract", _INSTALL)
    found = Tesseract.find("kor+eng", 60.0)
    if found is None:
        missing(f"Tesseract lacks Korean: {_INSTALL}")
    return found


@pytest_asyncio.fixture(scope="module")
async def pool() -> AsyncIterator[SplitterPool]:
    async with SplitterPool() as pool:
        yield pool


@pytest.fixture
def splitter(engine: Tesseract, pool: SplitterPool) -> RecognisingSplitter:
    return RecognisingSplitter(pool, engine, max_pages=2, at_once=2)


def read(split: Split) -> str:
    """The text without spaces, which recognition may misplace."""
    return "".join(split.text.split())


def squeezed(text: str) -> str:
    return "".join(text.split())


async def test_scanned_pages_are_recognised_and_keep_their_numbers(
    splitter: RecognisingSplitter,
) -> None:
    content = scanned_pdf(scan(LEAVE), "Meals are paid by receipt.", scan(COSTS))
    split = await splitter.split(SourceFile(content, "a.pdf"))
    assert squeezed(LEAVE) in read(split)
    assert squeezed(COSTS) in read(split)
    assert "Meals are paid by receipt." in split.text
    assert split.unread == (Unread(reasons.TEXT_RECOGNISED, (1, 3)),)


async def test_pages_beyond_the_bound_and_without_letters_are_said(
    splitter: RecognisingSplitter,
) -> None:
    content = scanned_pdf(scan(LEAVE), scan(), scan(COSTS))
    split = await splitter.split(SourceFile(content, "a.pdf"))
    assert squeezed(LEAVE) in read(split)
    assert split.unread == (
        Unread(reasons.TEXT_RECOGNISED, (1,)),
        Unread(reasons.PAGE_NOT_RECOGNISED, (2, 3)),
    )


@pytest.mark.parametrize("width", [1600, 800])
async def test_an_image_is_recognised(splitter: RecognisingSplitter, width: int) -> None:
    image = scan(COSTS, width=1600).resize((width, 500 * width // 1600))
    split = await splitter.split(SourceFile(png(image), "a.png"))
    assert split.media_type == "image/png"
    assert squeezed(COSTS) in read(split)
    assert {"image/png", "application/pdf"} <= set(splitter.media_types)


@pytest.mark.parametrize(("content", "reason"), [
    (png(Image.new("L", (400, 300), 255)), reasons.NOTHING_RECOGNISED),
    (b"\x89PNG\r\n\x1a\n" + bytes(90), reasons.BROKEN_IMAGE),
])  # fmt: skip
async def test_an_image_without_text_is_refused(
    splitter: RecognisingSplitter, content: bytes, reason: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await splitter.split(SourceFile(content, "a.png"))
    assert caught.value.violations[0].description == reason


async def test_a_document_with_text_is_not_recognised(
    pool: SplitterPool, engine: Tesseract
) -> None:
    absent = replace(engine, program="/nowhere/tesseract")
    splitter = RecognisingSplitter(pool, absent, max_pages=2, at_once=2)
    split = await splitter.split(SourceFile(scanned_pdf("Text.", ""), "a.pdf"))
    assert (split.text, split.unread) == ("Text.", ())


async def test_a_page_that_takes_too_long_is_not_recognised(
    pool: SplitterPool, engine: Tesseract
) -> None:
    slow = replace(engine, seconds=0.01)
    splitter = RecognisingSplitter(pool, slow, max_pages=2, at_once=2)
    content = scanned_pdf(scan(LEAVE), "Text.")
    split = await splitter.split(SourceFile(content, "a.pdf"))
    assert split.unread == (Unread(reasons.PAGE_NOT_RECOGNISED, (1,)),)


async def test_a_call_that_is_cancelled_ends_the_program(splitter: RecognisingSplitter) -> None:
    def running() -> list[int]:
        return [
            pid for pid in alive(children(os.getpid())) if "tesseract" in " ".join(arguments(pid))
        ]

    call = asyncio.create_task(splitter.split(SourceFile(scanned_pdf(scan(LEAVE)), "a.pdf")))
    await until(running, "Tesseract runs")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: not running(), "it has ended")


def test_a_language_that_is_not_installed_is_said() -> None:
    tool("tesseract", _INSTALL)
    assert Tesseract.find("kor+xyz", 1.0) is None


async def test_pages_without_time_can_be_recognised_later(
    splitter: RecognisingSplitter,
) -> None:
    token = CALL.set(Call("request-1", "0" * 32, time.monotonic() + 15.0))
    try:
        split = await splitter.split(SourceFile(scanned_pdf(scan(LEAVE), "Text."), "a.pdf"))
        assert split.unread == (Unread(reasons.PAGE_WITHOUT_TEXT, (1,)),)
        with pytest.raises(DeadlineExceeded):
            await splitter.split(SourceFile(scanned_pdf(scan(LEAVE)), "a.pdf"))
    finally:
        CALL.reset(token)


def rotated() -> bytes:
    """A photograph of a page that the camera held upright stored on its side, as its metadata say."""
    image = scan(COSTS).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    target = io.BytesIO()
    image.save(target, "JPEG", exif=exif, quality=95)
    return target.getvalue()


def transparent() -> bytes:
    page = scan(COSTS)
    layer = Image.new("RGBA", page.size, (0, 0, 0, 0))
    layer.putalpha(page.point(lambda value: 255 - value))
    return png(layer)


@pytest.mark.parametrize("content", [rotated, transparent])
async def test_photographs_and_screenshots_are_recognised(
    splitter: RecognisingSplitter, content: Callable[[], bytes]
) -> None:
    assert squeezed(COSTS) in read(await splitter.split(SourceFile(content(), "a.jpg")))
