"""Detects whether a line break is inside a sentence, as in text wrapped at a width, or ends one.

A list of short lines, a label above its value, or a heading above its text are not wrapped text.
The difference: wrapped lines continue until a stop, and each either has no room for the next word or
ends with a word that cannot end a sentence.
"""

import re
import unicodedata
from collections.abc import Callable

LIST_MARK = re.compile(
    r"[-*•·▪◦○●□■※>#|+–→]|[①-⑳㉠-㉻⑴-⒇]|\(?(?:\d{1,3}|[가-하a-z])[.)]\s|(?:[QA]|질문|답변?|문)\s?\d{0,3}\s?[.):]"
)
KOREAN_ENDINGS = "다요까죠네음함임됨"

_STOP = re.compile(r"[.!?…。！？｡][\"'”’」』》〉）)\]】]*(?=\s|$)|[다요](?=\n|$)")
_LAST_STOP = re.compile(r"(?<!\d)[.!?。][\"'”’」』)\]]*\s*$")
_FIELD = re.compile(r"[^\s.!?:：][^.!?:：\n]{0,23}[:：]\s")
# Characters to search for the sentence's stop, and lines on each side from which the width is taken.
_REACH, _AROUND = 400, 3
_LONG = 30
_DANGLING = re.compile(
    r"(?:[은는을를,·]|에게?서?|에게|까지|부터|에서|으로|로서|와|과|하고|하여|하며|하면|이며|거나|지만|는데"
    r"|려면|면서?|[가-힣]야|및|또는|그리고|하려는|되는|하는)$"
    r"|(?<=[가-힣] )[가-힣]*[가-힣](?:[의이가로도고며아어한할된될]|에)$"
    r"|\b(?:the|an?|of|to|in|on|at|by|for|from|with|and|or|but|that|which|who|if|as|than|is|are|was"
    r"|were|be|been|has|have|had|must|may|can|will|shall|should|not|no|their|its|his|her|your|our"
    r"|this|these|those|any|each|every|until|before|after|within|per)$",
    re.IGNORECASE,
)
# Words that occur in sentences and rarely in titles.
_IN_SENTENCES = re.compile(
    r"[가-힣](?:[은는을를]|에서|에게|까지|부터)(?=\s)"
    r"|\b(?:the|an?|of|to|and|is|are|must|may|by|with|from|who|that|be|can|will)\b"
)
_WORDS = 3


def is_wrapped(text: str, begun: int, start: int, end: int) -> bool:
    """Whether the line break [start, end), white space included, is inside a sentence.

    `begun` is the start of the current sentence. Reads a bounded part of the text.
    """
    if text.count("\n", start, end) > 1:
        return False
    line = text[max(begun, text.rfind("\n", begun, start) + 1) : start].rstrip()
    after = _line_at(text, end)
    if not after or not line or line[-1] in ".!?…。！？｡:：;|":
        return False
    if LIST_MARK.match(after) or _FIELD.match(after) or line.lstrip().startswith(("#", "|")):
        return False
    if is_hangul(line[-1]) and line[-1] in KOREAN_ENDINGS:
        return False
    return _goes_on_long(line, after) or (
        _completes(text, end) and _goes_on_short(text, start, end, line, after)
    )


def is_hangul(char: str) -> bool:
    """Whether `char` is a Hangul syllable."""
    return "가" <= char <= "힣"


def _line_at(text: str, start: int) -> str:
    end = text.find("\n", start, start + _REACH)
    return text[start : end if end >= 0 else start + _REACH].rstrip()


def _goes_on_long(line: str, after: str) -> bool:
    """Whether a long line continues after the break: long lines are prose even without a stop."""
    if len(line) < _LONG:
        return False
    if "a" <= after[0] <= "z":
        return True
    if is_hangul(after[0]):
        return is_hangul(line[-1]) or line[-1] == ","
    return len(line) >= 2 * _LONG and after[0].isalnum() and (line[-1].islower() or line[-1] == ",")


def _completes(text: str, start: int) -> bool:
    """Whether the paragraph has a stop after `start`."""
    end = text.find("\n\n", start, start + _REACH)
    return _STOP.search(text, start, end if end >= 0 else start + _REACH) is not None


def _goes_on_short(text: str, start: int, end: int, line: str, after: str) -> bool:
    full_line = text[text.rfind("\n", 0, start) + 1 : start].strip()
    if full_line != line.strip() and _LAST_STOP.search(full_line.removesuffix(line.strip())):
        return True  # A sentence that begins after another one's stop is running text.
    words = line.split()
    if "a" <= after[0] <= "z" and len(words) > 1:
        return True
    if len(words) > 1 and _DANGLING.search(line):
        return True
    if len(words) == 1 and is_hangul(line[-1]) and not _DANGLING.search(line):
        return False
    if not any(_is_full(text, start, end, measure) for measure in (_columns, len)):
        return False
    if "A" <= after[0] <= "Z" and len(words) < _WORDS:
        return False
    return len(words) == 1 or _IN_SENTENCES.search(line) is not None or _begun_above(text, start)


def _begun_above(text: str, start: int) -> bool:
    """Whether the line before this one has no stop at its end either."""
    line_start = text.rfind("\n", 0, start) + 1
    above = text[max(0, line_start - 4) : line_start].rstrip(" ")
    return len(above) > 1 and above[-1] == "\n" and above[-2] not in ".!?。:：\n" + KOREAN_ENDINGS


def _is_full(text: str, start: int, end: int, measure: Callable[[str], int]) -> bool:
    """Whether adding the next line's first word would have made this line wider than its neighbours.

    Editors wrap by columns or by characters; `measure` is either.
    """
    before = text[max(0, start - _REACH) : start].rsplit("\n\n", 1)[-1].split("\n")[-_AROUND:]
    after = text[end : end + _REACH].split("\n\n", 1)[0].split("\n")[:_AROUND]
    widest = max(measure(line.strip()) for line in (*before, *after))
    word = after[0].split(maxsplit=1)[0]
    return measure(before[-1].strip()) + 1 + measure(word) > widest


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
