"""Divides a document into sections by headings and questions, and these into units that a chunk never cuts."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rag_common.text.sentences import sentences
from rag_ingestor.parsing.parsed import Block, Kind, Parsed


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence, a line, a heading, or a part of one that is too long: code points [start, end)."""

    start: int
    end: int
    cost: float
    heading: bool = False
    sentence: bool = False
    last: bool = False
    """Whether this unit ends a paragraph."""


class Section:
    """Units under one heading path.

    `costs[i]` is the cost of the first i units in estimated tokens, `breaks` the numbers of units after
    which a paragraph ends.
    """

    def __init__(self, path: tuple[str, ...], units: Sequence[Unit]) -> None:
        self.path = path
        self.units = units
        self.costs = list(accumulate((unit.cost for unit in units), initial=0.0))
        self.breaks = [at for at, unit in enumerate(units, 1) if unit.last]


def sections(
    parsed: Parsed,
    target: float,
    max_cost: float,
    min_cost: float,
    estimate: Callable[[str], float],
) -> list[Section]:
    """The document's sections; small ones merged, and all merged if they are few and cost at most `max_cost`.

    Costs are estimated tokens. No unit costs more than `max_cost`; a longer sentence is cut into pieces
    of at most `target`. Sections under `min_cost` are merged with the next one, in a small document of many
    those under a third of it. In a list of questions with their answers, each question begins a section.
    """
    parts = list(_sections(parsed, _Cutter(parsed.text, target, max_cost, estimate)))
    filled = sum(not _only_headings(section) for section in parts)
    if sum(section.costs[-1] for section in parts) > max_cost:
        return _merge_small(parts, min_cost, target)
    if filled < _MANY:
        return [_join(parts)] if len(parts) > 1 else parts
    return _merge_small(parts, min_cost / 3, target)


# White space has no tokens, so the number of characters is limited too.
_CHARS_A_TOKEN = 16.0
_SPACE = re.compile(r"\s*")
_LINE = re.compile(r"\S(?:[^\n\r]*[^\s])?")


# From so many sections or questions on, a document is divided by them even if it would fit into one chunk.
_MANY = 4
# Label of a question in a list of them.
_LABEL = re.compile(
    r"[\s*_>#\-\[(<【「]{0,8}(?:Q|질문|물음|문|Question)\s?\d{0,3}[*_]{0,3}\s{0,8}[.):：\]>】」]",
    re.IGNORECASE,
)
_ASKS = re.compile(r"(?:[?？]|나요|까요|습니까|입니까)[\s*_]*$")


def _sections(parsed: Parsed, cutter: "_Cutter") -> Iterator[Section]:
    stack: list[Block] = []
    units: list[Unit] = []
    divided = [cutter.units(block) for block in parsed.blocks]
    starts = _question_starts(parsed, divided)
    for block, own in zip(parsed.blocks, divided, strict=True):
        if block.kind is Kind.HEADING:
            if units:
                yield Section(_path(stack), units)
            units = []
            while stack and stack[-1].level >= block.level:
                stack.pop()
            stack.append(block)
        for unit in own:
            if unit.start in starts and any(not one.heading for one in units):
                yield Section(_path(stack), units)
                units = []
            units.append(unit)
    if units:
        yield Section(_path(stack), units)


def _question_starts(parsed: Parsed, divided: Sequence[Sequence[Unit]]) -> set[int]:
    """Where questions begin that have a label, or a line of their own above their answer; none if few."""
    starts = set()
    for block, units in zip(parsed.blocks, divided, strict=True):
        if block.kind is not Kind.TEXT:
            continue
        for at, unit in enumerate(units):
            before = parsed.text[max(unit.start - 1, 0) : unit.start]
            begins_line = at == 0 or before in "\n\r"
            text = parsed.text[unit.start : unit.end]
            alone = parsed.text[unit.end : unit.end + 1] in "\n\r" and at + 1 < len(units)
            if begins_line and (_LABEL.match(text) or (at == 0 and alone and _ASKS.search(text))):
                starts.add(unit.start)
    return starts if len(starts) >= _MANY else set()


def _path(stack: Sequence[Block]) -> tuple[str, ...]:
    return tuple(block.heading for block in stack)


def _merge_small(parts: Sequence[Section], min_cost: float, target: float) -> list[Section]:
    """Merge headings without text with what follows them, and small sections with the next one."""
    merged: list[Section] = []
    group: list[Section] = []
    cost = 0.0
    for section in parts:
        full = cost >= min_cost or cost + section.costs[-1] > target
        if full and group and not _only_headings(group[-1]):
            merged.append(_join(group))
            group, cost = [], 0.0
        group.append(section)
        cost += section.costs[-1]
    return [*merged, _join(group)] if group else merged


def _only_headings(section: Section) -> bool:
    return all(unit.heading for unit in section.units)


def _join(group: Sequence[Section]) -> Section:
    if len(group) == 1:
        return group[0]
    paths = [section.path for section in group if not _only_headings(section)]
    paths = paths or [section.path for section in group]
    return Section(_common(paths), [unit for section in group for unit in section.units])


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    low, high = min(paths), max(paths)
    same = 0
    while same < len(low) and low[same] == high[same]:
        same += 1
    return low[:same]


class _Cutter:
    """Cuts blocks into units, in the order of the text."""

    def __init__(
        self, text: str, target: float, max_cost: float, estimate: Callable[[str], float]
    ) -> None:
        self._text = text
        self._target = target
        self._max_cost = max_cost
        self._estimate = estimate
        self._end = 0

    def units(self, block: Block) -> list[Unit]:
        spans = list(self._spans(block))
        heading = block.kind is Kind.HEADING
        units = []
        for at, (start, end, size, complete) in enumerate(spans, 1):
            last = at == len(spans) or self._is_blank_line(end, spans[at][0])
            # The gap before a unit is part of the chunk too; it counts by its characters.
            cost = max(size, (end - self._end) / _CHARS_A_TOKEN)
            sentence = complete and block.kind is Kind.TEXT
            units.append(Unit(start, end, cost, heading, sentence, last and not heading))
            self._end = end
        return units

    def _is_blank_line(self, start: int, end: int) -> bool:
        gap = self._text[start:end]
        return gap.count("\n") > 1 or gap.count("\r") > 1

    def _spans(self, block: Block) -> Iterator[tuple[int, int, float, bool]]:
        """Start, end, size, and whether the span is a complete sentence or line."""
        for start, end in self._parts(block):
            size = self._size(start, end)
            if size <= self._max_cost:
                yield start, end, size, True
                continue
            for first, stop in self._pieces(start, end):
                yield first, stop, self._size(first, stop), False

    def _parts(self, block: Block) -> Iterator[tuple[int, int]]:
        text = self._text
        if block.kind is Kind.TEXT:
            for span in sentences(text[block.start : block.end]):
                yield block.start + span.start, block.start + span.end
        elif block.kind is Kind.LINES:
            for line in _LINE.finditer(text, block.start, block.end):
                yield line.span()
        else:
            yield block.start, block.end

    def _size(self, start: int, end: int) -> float:
        return max(self._estimate(self._text[start:end]), (end - start) / _CHARS_A_TOKEN)

    def _pieces(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The span cut into pieces of at most the target cost, without trailing white space."""
        while start < end:
            stop = self._piece_end(start, end)
            yield start, start + len(self._text[start:stop].rstrip())
            space = _SPACE.match(self._text, stop, end)
            start = space.end() if space else stop

    def _piece_end(self, start: int, end: int) -> int:
        stop = min(end, start + int(self._target * _CHARS_A_TOKEN))
        while stop - start > 1 and (size := self._size(start, stop)) > self._target:
            stop = max(start + 1, min(stop - 1, start + int((stop - start) * self._target / size)))
        return stop if stop == end else self._at_word(start, stop)

    def _at_word(self, start: int, stop: int) -> int:
        """After the last white space in the second half of the piece, else at a grapheme boundary."""
        text = self._text
        if text[stop].isspace() or text[stop - 1].isspace():
            return stop
        rest = text[start:stop].rsplit(None, 1)[-1]
        if len(rest) * 2 < stop - start:
            return stop - len(rest)
        while stop - start > 1 and _continues(text[stop]):
            stop -= 1
        return stop


def _continues(char: str) -> bool:
    return bool(unicodedata.combining(char)) or char in "\u200d\ufe0e\ufe0f"
