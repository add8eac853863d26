"""Splits documents whose scanned pages are recognised first."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from rag_common.context import CALL
from rag_common.observability import tracing
from rag_contract.errors import DeadlineExceeded, InvalidArgument
from rag_ingestor.chunking.chunks import SourceFile, Split
from rag_ingestor.ocr.tesseract import Tesseract
from rag_ingestor.parsing.parse import IMAGE_TYPES
from rag_ingestor.parsing.reasons import RECOGNISABLE

# What embedding and storing a document of some pages may take, in seconds.
_STORE_SECONDS = 10.0
# With less time a page is not begun: most take about so long.
_LEAST_SECONDS = 10.0


class PageRenderer(Protocol):
    """Splits files, and draws their pages."""

    @property
    def media_types(self) -> tuple[str, ...]: ...

    async def split(self, file: SourceFile) -> Split: ...

    async def render(self, file: SourceFile, page: int) -> bytes:
        """A page, from 1, as an image in PGM. Raises InvalidArgument, Overloaded, Unavailable."""
        ...


class RecognisingSplitter:
    """Recognises at most `max_pages` pages of a document, `at_once` at a time, and then splits it.

    Pages beyond that, and those on which nothing is recognised, are noted in the split's `unread`; those
    for which there is no time before the deadline are noted as pages that can be recognised.
    """

    def __init__(
        self, pages: PageRenderer, engine: Tesseract, *, max_pages: int, at_once: int
    ) -> None:
        self._pages = pages
        self._engine = engine
        self._max_pages = max_pages
        self._slots = asyncio.Semaphore(at_once)

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types that can be parsed, images among them."""
        return self._pages.media_types + IMAGE_TYPES

    async def split(self, file: SourceFile) -> Split:
        """The document's text and chunks. Raises what a SplitterPool raises, and DeadlineExceeded."""
        found = await self._pages.split(replace(file, recognised={}))
        wanted = sorted(
            {page for one in found.unread if one.reason in RECOGNISABLE for page in one.pages}
        )
        if not wanted:
            return found
        texts = await self._recognise(file, wanted[: self._max_pages])
        if not texts and not found.text:
            raise DeadlineExceeded("no time is left to recognise the pages: set a later deadline")
        # Without a text, a page counts as one that was tried: it is not tried again with the same document.
        texts |= dict.fromkeys(wanted[self._max_pages :], "")
        return await self._pages.split(replace(file, recognised=texts)) if texts else found

    async def _recognise(self, file: SourceFile, pages: Sequence[int]) -> dict[int, str]:
        with tracing.span("ocr", attributes={"rag.pages": len(pages)}):
            tasks = [asyncio.create_task(self._page(file, page)) for page in pages]
            try:
                texts = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        tried = zip(pages, texts, strict=True)
        return {page: text for page, text in tried if text is not None}

    async def _page(self, file: SourceFile, page: int) -> str | None:
        """The text of a page; None if there is no time for it now."""
        async with self._slots:
            seconds = _seconds_left()
            if seconds is not None and seconds < _LEAST_SECONDS:
                return None
            try:
                async with asyncio.timeout(seconds):
                    return await self._engine.recognise(await self._pages.render(file, page))
            except InvalidArgument:
                # Drawing it needs too much memory or time: other pages are still worth reading.
                return ""
            except TimeoutError:
                return None


def _seconds_left() -> float | None:
    """The time for recognising pages, after which the document can still be stored; None without a deadline."""
    call = CALL.get()
    return None if call is None else call.remaining - _STORE_SECONDS
