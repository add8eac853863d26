"""Identifiers and calendar dates in a text, each as one canonical term.

Product numbers, versions, telephone numbers and addresses match only exactly: ABX-1204 is neither
ABX-12040 nor ABX1204, 1.2.3 is not 1.2.30. A date is the same term in every notation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identifier:
    """Code points [start, end) of a text, and the terms that represent them, the most specific first.

    An identifier has one term, its lower case. A date has its ISO 8601 form (2026-03-05); a complete
    one also those of its parts, year and month (2026-03) and month and day (--03-05).
    """

    start: int
    end: int
    terms: tuple[str, ...]


def identifiers(text: str) -> Iterator[Identifier]:
    """The identifiers and dates of `text` (NFKC) in order; they do not overlap. Linear time."""
    at = 0
    for date in _dates(text):
        yield from _plain(text, at, date.start)
        yield date
        at = date.end
    yield from _plain(text, at, len(text))


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|(?-i:May)|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DATE = re.compile(
    r"(?<![\w.-])(?P<y1>[12]\d{3})(?P<separator>[-./])\s?(?P<m1>\d{1,2})(?P=separator)\s?"
    r"(?P<d1>\d{1,2})(?![\d-]|\.\d)"
    r"|(?<!\d)(?:(?P<y2>[12]\d{3})년\s?)?(?P<m2>\d{1,2})월\s?(?P<d2>\d{1,2})일"
    r"|(?<!\d)(?P<y3>[12]\d{3})년\s?(?P<m3>\d{1,2})월"
    rf"|\b(?P<n4>{_MONTH})\s(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s(?P<y4>[12]\d{{3}})\b)?"
    rf"|\b(?P<d5>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<n5>{_MONTH})(?:,?\s(?P<y5>[12]\d{{3}})\b)?"
    rf"|\b(?P<n6>{_MONTH})\s(?P<y6>[12]\d{{3}})\b",
    re.IGNORECASE,
)
_PART = r"[A-Za-z0-9]+"
_CANDIDATE = re.compile(
    rf"(?<![A-Za-z0-9])(?<!\d,)(?:\.(?=[A-Z])|[가-힣]{{1,16}}[-_](?=\d))?{_PART}"
    rf"(?:[-_./@&]{_PART})*(?:\+\+|#(?![A-Za-z0-9]))?",
)
_NUMBERS = re.compile(r"\d+(?:[-./]\d+)?")
# Longer runs are data (hashes, base64), not identifiers that people use.
_MAX_CHARACTERS = 64


def _dates(text: str) -> Iterator[Identifier]:
    for match in _DATE.finditer(text):
        parts = {name[0]: value for name, value in match.groupdict().items() if value}
        month = int(parts["m"]) if "m" in parts else _MONTHS.index(parts["n"][:3].lower()) + 1
        day = int(parts.get("d", 1))
        if 1 <= month <= 12 and 1 <= day <= 31:
            terms = _forms(parts.get("y", ""), month, day if "d" in parts else None)
            yield Identifier(match.start(), match.end(), terms)


def _forms(year: str, month: int, day: int | None) -> tuple[str, ...]:
    if day is None:
        return (f"{year}-{month:02}",)
    if not year:
        return (f"--{month:02}-{day:02}",)
    return f"{year}-{month:02}-{day:02}", f"--{month:02}-{day:02}", f"{year}-{month:02}"


def _plain(text: str, start: int, end: int) -> Iterator[Identifier]:
    for match in _CANDIDATE.finditer(text, start, end):
        word = match[0]
        if len(word) <= _MAX_CHARACTERS and _identifies(word):
            yield Identifier(match.start(), match.end(), (word.lower(),))


def _identifies(word: str) -> bool:
    """Letters with digits, digits in three groups or two long ones, or C++, C#, .NET, R&D, a@b.c."""
    if _NUMBERS.fullmatch(word):
        groups = re.split(r"[-/]", word)
        return len(groups) == 2 and min(map(len, groups)) >= 3
    if any(char.isdigit() for char in word):
        return True
    if word.endswith(("++", "#")) or word.startswith(".") or "@" in word:
        return True
    return "&" in word and word.isupper()
