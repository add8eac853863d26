"""Sentence boundaries of Korean, English and other CJK text, as offsets into that text."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from rag_common.text.line_wrapping import KOREAN_ENDINGS, is_hangul, is_wrapped


@dataclass(frozen=True, slots=True)
class Span:
    """Code points [start, end) of a text, without white space at either end."""

    start: int
    end: int


def sentences(text: str) -> list[Span]:
    """The sentences of the text in order; together they contain every character but white space.

    A sentence ends at a stop with its closing quotes, at a blank line, and at a line break unless
    the line is wrapped. Headings, list items and table rows are sentences of their own.
    """
    spans = []
    start = 0
    for end in _ends(text):
        spans += _trimmed(text, start, end)
        start = end
    return spans + _trimmed(text, start, len(text))


_CLOSERS = "\"'”’」』》〉）)\\]】*"
_BREAK = re.compile(rf"[.!?…。！？｡]+[{_CLOSERS}]*(?:\[\d{{1,3}}\])*|\n\s*")
_QUOTED = re.compile(
    r'(?<![^\s(\[,])"(?=\S)[^"\n]{1,240}(?<=\S)"'
    r"|“[^”\n]{1,240}”|「[^」\n]{1,240}」|『[^』\n]{1,240}』|\([^()\n]{1,240}\)"
)
_CJK_STOPS = "。！？｡"
# A quotation continues in its sentence: "…있다." 라고 말했다.
_QUOTING = re.compile(r"\s+(?:이?라[고는며]|하?[고는며]|said|says|asked)(?![가-힣A-Za-z])")
_BEFORE_STOP = re.compile(r"(?:[A-Za-z]+\.)*[A-Za-z]+$|\d+$")
_DATE = re.compile(r"(?:\d{4}\.\s*|\d{2}\.\s)\d{1,2}(?:\.\s*\d{1,2})?$")
_ITEM = re.compile(r"[\s\-*•>#(\[]*(?:\d{1,3}|[가나다라마바사아자차카타파하]|[A-Za-z]|[ivx]{1,4})$")
_NEVER_LAST = re.compile(
    r"dr|mrs?|ms|prof|st|vs|e\.?g|i\.?e|cf|figs?|nos?|vol|pp|al|approx|gen|col|sen|rep|gov|rev"
    r"|hon|mt|ft|sgt|capt|lt|viz|ca|eds?"
)
_SELDOM_LAST = re.compile(
    r"etc|inc|ltd|co|corp|[js]r|dept|est|ave|blvd|jan|feb|mar|apr|ju[nl]|aug|sept?|oct|nov|dec"
    r"|ph\.d|[bm]\.a|[ap]\.m"
)
_OPENERS = re.compile(
    r"Th(?:e|is|at|ese|ose|ere|ey|en)|It(?:'s|s)?|H(?:e|is|er|ow|owever)|She|We|You|I[fn]?|On"
    r"|A[nts]?|But|And|So|For|Wh(?:en|ile|at|y)|After|Before|Their|Our"
)


def _trimmed(text: str, start: int, end: int) -> list[Span]:
    piece = text[start:end]
    bare = piece.strip()
    if not bare:
        return []
    start += len(piece) - len(piece.lstrip())
    return [Span(start, start + len(bare))]


def _ends(text: str) -> Iterator[int]:
    quoted = [(m.start(), m.end()) for m in _QUOTED.finditer(text)]
    openings = [start for start, _ in quoted]
    begun = 0
    for match in _BREAK.finditer(text):
        line_break = "\n" in match[0]
        if line_break:
            ends = not is_wrapped(text, begun, match.start(), match.end())
        else:
            at = bisect_right(openings, match.start()) - 1
            inside = at >= 0 and match.end() < quoted[at][1]
            ends = not inside and _stops(text, begun, match)
        if ends:
            begun = match.end()
            yield begun


def _stops(text: str, begun: int, match: re.Match[str]) -> bool:
    end = match.end()
    if end == len(text):
        return True
    mark = match[0].rstrip("\"'”’」』》〉）)]】*0123456789[")
    closed = len(mark) < len(match[0])
    before = text[match.start() - 1] if match.start() > begun else " "
    if not text[end].isspace():
        return not closed and _stops_unspaced(text, begun, match, before)
    if closed and _QUOTING.match(text, end):
        return False
    after = text[end : end + 24].split(maxsplit=1)
    opener = after[0] if after else ""
    if mark == ".":
        return not _abbreviates(text, begun, match.start(), opener)
    if mark[-1] in ".…":
        return before in KOREAN_ENDINGS or (not is_hangul(opener[:1]) and not opener[:1].islower())
    return not (closed and opener[:1].islower())


def _stops_unspaced(text: str, begun: int, match: re.Match[str], before: str) -> bool:
    """Whether a stop without a following space ends the sentence: a CJK stop or a Korean ending."""
    if match[0][-1] in _CJK_STOPS:
        return True
    ending = before in KOREAN_ENDINGS and is_hangul(text[match.start() - 2])
    return ending and match.start() - 2 >= begun and is_hangul(text[match.end()])


def _abbreviates(text: str, begun: int, stop: int, opener: str) -> bool:
    """Whether the full stop at `stop` belongs to its word, number or list mark."""
    if opener[:1].islower() and opener[:1].isascii():
        return True
    if stop - begun < 12 and _ITEM.match(text[begun:stop]):
        return True
    word = _BEFORE_STOP.search(text, max(begun, stop - 16), stop)
    if word is None:
        return False
    if word[0].isdigit():
        return opener[:1].isdigit() or _DATE.search(text, max(begun, stop - 16), stop) is not None
    lower = word[0].lower()
    if _NEVER_LAST.fullmatch(lower):
        return True
    initial = (len(lower) == 1 and word[0] != "I") or ("." in lower and len(lower) < 6)
    return (initial or bool(_SELDOM_LAST.fullmatch(lower))) and not _OPENERS.fullmatch(opener)
