"""Sentence boundaries of Korean, English and other CJK text, as offsets into that text."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Code points [start, end) of a text; neither end is white space."""

    start: int
    end: int


def sentences(text: str) -> list[Span]:
    """The sentences of the text in order; together they hold every character but white space.

    A sentence ends at a stop with its closing quotes, at a blank line, and at a line break unless
    the line is plainly wrapped. Headings, list items and table rows are sentences of their own.
    """
    spans = []
    start = 0
    for end in _ends(text):
        spans += _trimmed(text, start, end)
        start = end
    return spans + _trimmed(text, start, len(text))


_CLOSERS = "\"'”’」』》〉）)\\]】"
_BREAK = re.compile(rf"[.!?…。！？｡]+[{_CLOSERS}]*(?:\[\d{{1,3}}\])*|\n\s*")
_QUOTED = re.compile(
    r'(?<![^\s(\[,])"(?=\S)[^"\n]{1,240}(?<=\S)"'
    r"|“[^”\n]{1,240}”|「[^」\n]{1,240}」|『[^』\n]{1,240}』|\([^()\n]{1,240}\)"
)
_CJK_STOPS = "。！？｡"
_KOREAN_ENDINGS = "다요까죠네음함임됨"
# A quotation goes on into its sentence: "…있다." 라고 말했다.
_QUOTING = re.compile(r"\s+(?:이?라[고는며]|하?[고는며]|said|says|asked)(?![가-힣A-Za-z])")
_BEFORE_STOP = re.compile(r"(?:[A-Za-z]+\.)*[A-Za-z]+$|\d+$")
_DATE = re.compile(r"(?:\d{4}\.\s*|\d{2}\.\s)\d{1,2}(?:\.\s*\d{1,2})?$")
_ITEM = re.compile(r"[\s\-*•>#(\[]*(?:\d{1,3}|[가나다라마바사아자차카타파하]|[A-Za-z]|[ivx]{1,4})$")
_LIST_MARK = re.compile(r"[-*•·▪◦○●□■※>#|+]|[①-⑳]|\(?(?:\d{1,3}|[가-하a-z])[.)]\s")
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
    for found in _BREAK.finditer(text):
        line_break = "\n" in found[0]
        if line_break:
            ends = not _wrapped(text, begun, found)
        else:
            at = bisect_right(openings, found.start()) - 1
            inside = at >= 0 and found.end() < quoted[at][1]
            ends = not inside and _stops(text, begun, found)
        if ends:
            begun = found.end()
            yield begun


def _wrapped(text: str, begun: int, found: re.Match[str]) -> bool:
    """Whether a line break lies within a sentence, as in text wrapped at a fixed width."""
    if found[0].count("\n") > 1:
        return False
    line = text[max(begun, text.rfind("\n", begun, found.start()) + 1) : found.start()].rstrip()
    after = text[found.end() : found.end() + 8]
    if not after or not line or line[-1] in ".!?…。！？｡:;|" or _LIST_MARK.match(after):
        return False
    if line.lstrip().startswith(("#", "|")) or len(line) < 30:
        return False
    if "a" <= after[0] <= "z":
        return True
    if _is_hangul(after[0]):
        return (_is_hangul(line[-1]) or line[-1] == ",") and line[-1] not in _KOREAN_ENDINGS
    return len(line) >= 60 and after[0].isalnum() and (line[-1].islower() or line[-1] == ",")


def _stops(text: str, begun: int, found: re.Match[str]) -> bool:
    end = found.end()
    if end == len(text):
        return True
    mark = found[0].rstrip("\"'”’」』》〉）)]】0123456789[")
    closed = len(mark) < len(found[0])
    before = text[found.start() - 1] if found.start() > begun else " "
    if not text[end].isspace():
        return not closed and _stops_unspaced(text, begun, found, before)
    if closed and _QUOTING.match(text, end):
        return False
    after = text[end : end + 24].split(maxsplit=1)
    opener = after[0] if after else ""
    if mark == ".":
        return not _abbreviates(text, begun, found.start(), opener)
    if mark[-1] in ".…":
        return before in _KOREAN_ENDINGS or (
            not _is_hangul(opener[:1]) and not opener[:1].islower()
        )
    return not (closed and opener[:1].islower())


def _stops_unspaced(text: str, begun: int, found: re.Match[str], before: str) -> bool:
    """Without a space only a CJK stop or a Korean ending says that the sentence is over."""
    if found[0][-1] in _CJK_STOPS:
        return True
    ending = before in _KOREAN_ENDINGS and _is_hangul(text[found.start() - 2])
    return ending and found.start() - 2 >= begun and _is_hangul(text[found.end()])


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


def _is_hangul(char: str) -> bool:
    return "가" <= char <= "힣"
