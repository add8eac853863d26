"""Splits a file, or a parsed document, into chunks of a suitable size for an embedding model."""

import string
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rag_ingestor.chunking.model import Chunk, Location
from rag_ingestor.chunking.sections import Section, sections
from rag_ingestor.parsing.parse import Limits, parse
from rag_ingestor.parsing.parsed import Parsed, Place, Unread, places_within

TokenEstimate = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """Chunk sizes in estimated tokens. Raises ValueError if they are inconsistent.

    A chunk has about `target_tokens` and at most `max_tokens`. It repeats whole sentences of at most
    `overlap_tokens` from the previous chunk in its section. A section under `min_tokens` is merged with
    the next one.
    """

    target_tokens: int = 256
    max_tokens: int = 384
    overlap_tokens: int = 40
    min_tokens: int = 32

    def __post_init__(self) -> None:
        if not (
            0 <= self.overlap_tokens < self.target_tokens <= self.max_tokens
            and 0 <= self.min_tokens <= self.target_tokens
        ):
            raise ValueError(
                "chunk sizes must be 0 <= overlap < target <= max and 0 <= min <= target"
            )


def estimated_tokens(text: str) -> float:
    """The approximate number of XLM-R tokens (multilingual e5, bge-m3); white space counts 0.

    Weights were fitted by hand to that tokenizer: prose in Korean, English and Japanese is within
    10 %, tables and code are up to 20 % too low, strings of hexadecimal digits 50 %.
    """
    return sum(text.encode().translate(_HUNDREDTHS)) / 100


def chunk(
    parsed: Parsed,
    settings: ChunkSettings | None = None,
    estimate: TokenEstimate = estimated_tokens,
) -> list[Chunk]:
    """The document's chunks in order; together they contain every character of its blocks.

    Chunks end at sections, else paragraphs, else sentences or lines; only a sentence above the target
    is cut, at white space if possible. A document that fits into one chunk becomes one. `estimate`
    returns the tokens of a text; it must be approximately additive and is called once per sentence.
    Takes linear time.
    """
    settings = settings or ChunkSettings()
    document_sections = sections(
        parsed, settings.target_tokens, settings.max_tokens, settings.min_tokens, estimate
    )
    spans = [
        (section.units[first].start, section.units[stop - 1].end, section.path)
        for section in document_sections
        for first, stop in _pack(section, settings)
    ]
    return list(_chunks(parsed, spans))


def _weights() -> bytes:
    """Hundredths of a token per UTF-8 byte; a character's first byte carries its weight."""
    weights = bytearray(256)
    for chars, weight in (
        (string.ascii_letters, 27),
        (string.digits, 50),
        (string.punctuation, 90),
    ):
        for byte in chars.encode():
            weights[byte] = weight
    weights[0xC2:0xE0] = bytes([30]) * 0x1E
    weights[0xE0:0xF0] = bytes([72]) * 0x10
    weights[0xF0:0xF5] = bytes([100]) * 5
    return bytes(weights)


_HUNDREDTHS = _weights()


def _pack(section: Section, settings: ChunkSettings) -> Iterator[tuple[int, int]]:
    """Ranges of units, one per chunk: each starts with the overlap and has at least one new unit."""
    costs = section.costs
    first = fresh = 0
    while fresh < len(section.units):
        stop = _cut(section, first, fresh, settings)
        yield first, stop
        first, fresh = _overlap_start(section, first, stop, settings), stop
        if fresh < len(section.units) and costs[fresh + 1] - costs[first] > settings.max_tokens:
            first = fresh


def _cut(section: Section, first: int, fresh: int, settings: ChunkSettings) -> int:
    """The end of the chunk from `first`: the end of the section, of a paragraph, or of a sentence."""
    units, costs = section.units, section.costs
    if costs[-1] - costs[first] <= settings.max_tokens:
        return len(units)
    stop = max(fresh + 1, bisect_right(costs, costs[first] + settings.target_tokens) - 1)
    limit = max(stop, bisect_right(costs, costs[first] + settings.max_tokens) - 1)
    following = bisect_left(section.breaks, stop)
    if following < len(section.breaks) and section.breaks[following] <= limit:
        return section.breaks[following]
    before = section.breaks[following - 1] if following else 0
    if before > fresh and costs[before] - costs[first] >= settings.target_tokens / 2:
        return before
    # Do not end with a heading if the unit below it still fits.
    return stop + 1 if units[stop - 1].heading and stop < limit else stop


def _overlap_start(section: Section, first: int, stop: int, settings: ChunkSettings) -> int:
    """The first of the complete sentences that the next chunk repeats; `stop` for none."""
    costs = section.costs
    begin = stop
    while (
        begin - 1 > first
        and section.units[begin - 1].sentence
        and costs[stop] - costs[begin - 1] <= settings.overlap_tokens
    ):
        begin -= 1
    return begin


def _chunks(parsed: Parsed, spans: Sequence[tuple[int, int, tuple[str, ...]]]) -> Iterator[Chunk]:
    at = byte = 0
    for ordinal, (start, end, path) in enumerate(spans):
        byte += len(parsed.text[at:start].encode())
        at = start
        text = parsed.text[start:end]
        page, location = _where(parsed.places, start, end)
        yield Chunk(
            ordinal, text, start, end, byte, byte + len(text.encode()), path, page, location
        )


def _where(places: Sequence[Place], start: int, end: int) -> tuple[int | None, Location | None]:
    """The page on which the code points [start, end) begin, and their location, if the format has any."""
    at = bisect_right(places, start, key=lambda place: place.start) - 1
    first = places[at] if at >= 0 else None
    if first is None or start >= first.end:
        return None, None
    inside = [
        one
        for one in places_within(places, start, end)
        if (one.sheet, one.attachment) == (first.sheet, first.attachment)
    ]
    page = first.page or next((one.page for one in inside if one.page), None)
    if not (first.sheet or first.row or first.attachment):
        return page, None
    rows = [one.row for one in inside if one.row]
    return page, Location(first.sheet, min(rows, default=0), max(rows, default=0), first.attachment)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """An uploaded file; its name and declared media type are unverified.

    `recognised` has the text of scanned pages: see `parse`.
    """

    content: bytes = field(repr=False)
    filename: str = ""
    declared_type: str = ""
    recognised: Mapping[int, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Split:
    """A file's title, its text in NFC, its detected media type, and its chunks (offsets into `text`).

    `unread` lists what could not be read.
    """

    title: str
    text: str
    media_type: str
    chunks: tuple[Chunk, ...]
    unread: tuple[Unread, ...] = ()


def split(file: SourceFile, limits: Limits, settings: ChunkSettings) -> Split:
    """Parse a file and split it into chunks.

    Blocks and may use much memory: the sandbox limits both. Raises InvalidArgument.
    """
    parsed = parse(file.content, file.filename, file.declared_type, limits, file.recognised)
    chunks = tuple(chunk(parsed, settings))
    return Split(parsed.title, parsed.text, parsed.media_type, chunks, parsed.unread)
