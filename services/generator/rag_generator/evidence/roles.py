"""The role of each sentence of a passage, by its form and its surroundings."""

import re
import unicodedata
from collections.abc import Sequence
from enum import Enum

from rag_common.text.sentences import Span


class Role(Enum):
    """The role of a sentence. Only FIELD, ROW, ITEM and TEXT can be quoted as an answer."""

    TEXT = "text"
    ITEM = "item of a list"
    FIELD = "line with a key and a value"
    ROW = "row of a table"
    HEADING = "heading, or the head of a table"
    LABEL = "line that names what the next one holds"
    QUESTION = "question of an FAQ"
    NOTHING = "rule or mark without words"


QUOTABLE = frozenset({Role.TEXT, Role.ITEM, Role.FIELD, Role.ROW})


# Maximum columns of a label or an unmarked heading: 20 Korean syllables, 40 Latin letters.
_LABEL_WIDTH = 40

_RULE = re.compile(r"[\s|:=*_+\-–—·.]*")
_HEADING = re.compile(
    r"\s*#{1,6}\s.*|\s*\*\*[^*]{1,80}\*\*\s*|제\s?\d+\s?[장절편][^.!?]{0,40}", re.S
)
# Repetitions of overlapping classes are bounded, so that matching takes linear time.
_OPEN, _CLOSE = (
    r"[\s*_>#\-\[(<【「]*",
    r"[*_]{0,3}\s{0,8}[.):：\]>】」*_]{1,6}[*_]{0,3}\s*[*_]{0,3}",
)
_NUMBERED = r"\s?(?:\d{1,3}(?:[-.]\d{1,3})?)?"
_ASKS = re.compile(
    rf"{_OPEN}(?:Q|질문|물음|문|Question|Ask){_NUMBERED}{_CLOSE}(?=\S)", re.IGNORECASE
)
REPLIES = re.compile(
    rf"{_OPEN}(?:A|Ans|Answer|답변|대답|답|Reply){_NUMBERED}{_CLOSE}|\s*(?:→|⇒|->|=>|↳|ㄴ)\s*",
    re.IGNORECASE,
)
_LABEL_ALONE = re.compile(
    rf"{_OPEN}(?:Q|A|질문|답변|문|답){_NUMBERED}(?:{_CLOSE})?\s*", re.IGNORECASE
)
_ENDS_ASKING = re.compile(
    r"[?？][\"'”’」』)\]*_\s]*$|(?:나요|까요|습니까|입니까|[인은는]가요|[을를]까)[\s*_]*$"
)
_ITEM = re.compile(
    r"[-*•·▪◦○●□■※>+–]\s|[①-⑳㉠-㉻⑴-⒇]|\(?(?:\d{1,3}|[가나다라마바사아자차카타파하a-z]|[ivx]{1,4})[.)]\s",
)
_RAW_ROW = re.compile(r"\s*\|.*\|\s*")
_ROW = re.compile(r"(?=[^\n]*\Z)[^:\n·]{1,60}: [^\n]*? · [^:\n·]{1,60}: [^\n]+")
_FIELD = re.compile(r"\s*[^:：.!?\n]{1,24}[:：]\s*\S")
_URL = re.compile(r"\s*(?:https?|ftp|file):|\s*\d{1,2}:\d\d")
_STOPS = ".!?…。！？:：;,、"
_FINAL = ("다", "요", "음", "함", "됨", "임", "까")
LEADS_IN = re.compile(
    r"[:：]\s*$|다음|아래|이하|같다|같습니다|같아요|가지|종류|단계|순서|\bfollow|\bbelow\b|\bthese\b"
    r"|\b(?:two|three|four|five|six|seven|several|steps?|kinds?|items?|documents?)\b",
    re.IGNORECASE,
)


def gaps(text: str, spans: Sequence[Span]) -> list[int]:
    """Line breaks before each sentence, and after the last: 0 on one line, 2 for a blank line."""
    ends = [0, *(span.end for span in spans)]
    starts = [*(span.start for span in spans), len(text)]
    breaks = [min(2, text.count("\n", end, start)) for end, start in zip(ends, starts, strict=True)]
    breaks[0] = breaks[-1] = 2
    return breaks


def roles(text: str, spans: Sequence[Span], breaks: Sequence[int]) -> list[Role]:
    """The role of each sentence; `breaks` as returned by `gaps`."""
    pieces = [text[span.start : span.end] for span in spans]
    assigned = [_role(piece) for piece in pieces]
    for at, piece in enumerate(pieces):
        follows = at + 1 < len(pieces)
        if _RAW_ROW.fullmatch(piece) and follows and assigned[at + 1] is Role.NOTHING:
            assigned[at] = Role.HEADING
        elif assigned[at] in (Role.TEXT, Role.ITEM) and follows and _is_short(piece):
            assigned[at] = _short_role(at, assigned, breaks)
    return assigned


def _role(piece: str) -> Role:
    if _RULE.fullmatch(piece) or _LABEL_ALONE.fullmatch(piece):
        return Role.NOTHING
    if _ASKS.match(piece) or _ENDS_ASKING.search(piece):
        return Role.QUESTION
    if REPLIES.match(piece):
        return Role.TEXT
    if _HEADING.fullmatch(piece):
        return Role.HEADING
    if _RAW_ROW.fullmatch(piece) or _ROW.fullmatch(piece):
        return Role.ROW
    if _ITEM.match(piece):
        return Role.ITEM
    if _FIELD.match(piece) and not _URL.match(piece):
        return Role.FIELD
    return Role.TEXT


def _short_role(at: int, assigned: Sequence[Role], breaks: Sequence[int]) -> Role:
    """The role of a short line without a full stop, by the lines around it."""
    own, alone = assigned[at], breaks[at] == 2 and breaks[at + 1] == 2
    if own is Role.ITEM:
        lone = (
            alone
            and assigned[at + 1] is not Role.ITEM
            and (not at or assigned[at - 1] is not Role.ITEM)
        )
        return Role.HEADING if lone else own
    if alone:
        return Role.HEADING
    if breaks[at] == 2 and breaks[at + 1] == 1:
        return Role.LABEL
    return own


def _is_short(piece: str) -> bool:
    bare = piece.strip(" *_\t")
    if not bare or bare[-1] in _STOPS or "\n" in bare:
        return False
    width = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in bare)
    ends = bare.endswith(_FINAL) and len(bare) > 6
    return width <= _LABEL_WIDTH and len(bare.split()) <= 7 and not ends
