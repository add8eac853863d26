"""The numbers that Word shows before paragraphs, which are not in their text: 제1조, 1.2, 가., ①.

ECMA-376-1:2016, 17.9 (numbering) and 17.18.59 (number formats).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lxml import etree

from rag_ingestor.parsing.wordml import W, inherited, val_of

_PLACEHOLDER = re.compile(r"%([1-9])")
_LEVELS = 9
# Word allows 32,767; beyond it a counter only wastes memory.
_MAX_NUMBER = 32_767
_BULLET = "-"


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a list: its first number, format, text with placeholders, and what resets it.

    `restart_after` is the number of the level after which it starts again, counted from 1; 0 is never,
    None is after any higher level. `legal` shows all levels as decimal numbers.
    """

    start: int = 1
    format: str = "decimal"
    text: str = ""
    separator: str = " "
    restart_after: int | None = None
    legal: bool = False


@dataclass(slots=True)
class _List:
    """A list definition: its levels, and how far each has been counted."""

    levels: Mapping[int, Level]
    counts: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Reference:
    """A paragraph's or style's reference to a numbering: its id, and the level if it is stated."""

    number: str = ""
    level: int | None = None


class Numbering:
    """Counts the numbered paragraphs of a document, which must be asked for in their order."""

    def __init__(self, numbering: etree._Element | None, styles: etree._Element | None) -> None:
        self._styles = _style_references(styles) if styles is not None else {}
        self._lists: dict[str, _List] = {}
        self._of_number: dict[str, str] = {}
        self._overrides: dict[str, dict[int, int]] = {}
        self._style_levels: dict[tuple[str, str], int] = {}
        if numbering is not None:
            self._read(numbering)

    def label(self, paragraph: etree._Element, style: str) -> str:
        """The number before the paragraph with its separator, "- " for a bullet, empty if there is none."""
        reference = self._reference(paragraph.find(f"{W}pPr/{W}numPr"), style)
        key = self._of_number.get(reference.number)
        if key is None or key not in self._lists:
            # A list without a definition still is one.
            return f"{_BULLET} " if reference.number not in ("", "0") else ""
        at = reference.level
        if at is None:
            at = self._style_levels.get((key, style), 0)
        return self._counted(reference.number, self._lists[key], at)

    def _reference(self, properties: etree._Element | None, style: str) -> _Reference:
        inherited = self._styles.get(style, _Reference())
        if properties is None:
            return inherited
        own = _reference(properties)
        return _Reference(
            own.number or inherited.number,
            own.level if own.level is not None else (0 if own.number else inherited.level),
        )

    def _counted(self, number: str, found: _List, at: int) -> str:
        level = found.levels.get(at)
        if level is None:
            return f"{_BULLET} "
        # A list that starts anew does so at its first paragraph.
        override = self._overrides.get(number, {}).pop(at, None)
        counts = found.counts
        if override is not None:
            counts[at] = override
        else:
            counts[at] = min(counts.get(at, level.start - 1) + 1, _MAX_NUMBER)
        for lower in range(at + 1, _LEVELS):
            if lower in counts and _restarts(found.levels.get(lower), at):
                del counts[lower]
        return self._text(found, level, at)

    def _text(self, found: _List, level: Level, at: int) -> str:
        if level.format == "bullet":
            return f"{_BULLET} "

        def shown(placeholder: re.Match[str]) -> str:
            which = int(placeholder[1]) - 1
            of = found.levels.get(which, Level())
            # A level that was skipped shows its first number.
            value = found.counts.setdefault(which, of.start) if which <= at else of.start
            return number_text(value, "decimal" if level.legal else of.format)

        text = _PLACEHOLDER.sub(shown, level.text)
        return f"{text}{level.separator}" if text.strip() else ""

    def _read(self, numbering: etree._Element) -> None:
        links: dict[str, str] = {}
        for abstract in numbering.iter(f"{W}abstractNum"):
            key = abstract.get(f"{W}abstractNumId", "")
            links[key] = val_of(abstract.find(f"{W}numStyleLink"))
            levels: dict[int, Level] = {}
            for node in abstract.iterchildren(f"{W}lvl"):
                at = _integer(node.get(f"{W}ilvl", ""), 0)
                levels[at] = _level(node)
                if style := val_of(node.find(f"{W}pStyle")):
                    self._style_levels[key, style] = at
            self._lists[key] = _List(levels)
        for node in numbering.iterchildren(f"{W}num"):
            number = node.get(f"{W}numId", "")
            self._of_number[number] = val_of(node.find(f"{W}abstractNumId"))
            self._overrides[number] = {
                _integer(override.get(f"{W}ilvl", ""), 0): _integer(val_of(start), 1)
                for override in node.iterchildren(f"{W}lvlOverride")
                if (start := override.find(f"{W}startOverride")) is not None
            }
        # A definition may stand for that of a list style.
        for number, key in self._of_number.items():
            linked = self._styles.get(links.get(key, ""), _Reference()).number
            if linked and linked != number:
                self._of_number[number] = self._of_number.get(linked, key)


def number_text(value: int, format: str) -> str:
    """A number in a format of ECMA-376; one that is not known is shown as decimal."""
    formatter = _FORMATS.get(format)
    return formatter(value) if formatter and value > 0 else _OTHERS.get(format, str(value))


def _restarts(level: Level | None, after: int) -> bool:
    """Whether the level starts again after a paragraph of the level `after`, counted from 0."""
    if level is None or level.restart_after is None:
        return True
    return after < level.restart_after


def _level(node: etree._Element) -> Level:
    restart = node.find(f"{W}lvlRestart")
    suffix = val_of(node.find(f"{W}suff"))
    return Level(
        start=_integer(val_of(node.find(f"{W}start")), 1),
        format=val_of(node.find(f"{W}numFmt")) or "decimal",
        text=val_of(node.find(f"{W}lvlText")),
        separator="" if suffix == "nothing" else " ",
        restart_after=_integer(val_of(restart), 0) if restart is not None else None,
        legal=node.find(f"{W}isLgl") is not None,
    )


def _style_references(styles: etree._Element) -> dict[str, _Reference]:
    """The numbering of each style, its own or that of a parent."""
    own = {
        style.get(f"{W}styleId", ""): _reference(properties)
        for style in styles.iter(f"{W}style")
        if (properties := style.find(f"{W}pPr/{W}numPr")) is not None
    }
    return inherited(styles, own)


def _reference(properties: etree._Element) -> _Reference:
    level = properties.find(f"{W}ilvl")
    number = val_of(properties.find(f"{W}numId"))
    return _Reference(
        number, min(_integer(val_of(level), 0), _LEVELS - 1) if level is not None else None
    )


def _integer(text: str, default: int) -> int:
    return min(int(text), _MAX_NUMBER) if text.isascii() and text.isdigit() else default


def _letters(alphabet: str) -> Callable[[int], str]:
    """After the last letter each is repeated: Z, AA, BB."""

    def text(value: int) -> str:
        turns, at = divmod(value - 1, len(alphabet))
        return alphabet[at] * min(turns + 1, 100)

    return text


def _roman(value: int) -> str:
    parts = []
    for size, numeral in _NUMERALS:
        count, value = divmod(value, size)
        parts.append(numeral * count)
    return "".join(parts)


def _characters(first: str, count: int) -> Callable[[int], str]:
    """Consecutive characters such as ① to ⑳; beyond them a decimal number."""
    return lambda value: chr(ord(first) + value - 1) if value <= count else str(value)


def _circled(value: int) -> str:
    for first, before, last in (("①", 0, 20), ("㉑", 20, 35), ("㊱", 35, 50)):
        if value <= last:
            return chr(ord(first) + value - before - 1)
    return str(value)


def _digits(zero_to_nine: str) -> Callable[[int], str]:
    return lambda value: "".join(zero_to_nine[int(digit)] for digit in str(value))


def _counting(digits: str, places: str) -> Callable[[int], str]:
    """Numbers as they are spoken, such as 이십일: digits from one, and the names of ten, hundred, thousand."""

    def text(value: int) -> str:
        if value > 9999:
            return str(value)
        parts = []
        for power in range(len(str(value)) - 1, -1, -1):
            digit = value // 10**power % 10
            if digit:
                spoken = "" if digit == 1 and power else digits[digit - 1]
                parts.append(spoken + (places[power - 1] if power else ""))
        return "".join(parts)

    return text


def _native_korean(value: int) -> str:
    tens = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
    ones = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
    return tens[value // 10] + ones[value % 10] if value < 100 else str(value)


def _ordinal(value: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{'th' if value % 100 in (11, 12, 13) else ending}"


_NUMERALS = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
    (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip
_HAN = _counting("一二三四五六七八九", "十百千")
_FORMATS: Mapping[str, Callable[[int], str]] = {
    "decimalZero": lambda value: f"{value:02d}",
    "upperLetter": _letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "lowerLetter": _letters("abcdefghijklmnopqrstuvwxyz"),
    "upperRoman": _roman,
    "lowerRoman": lambda value: _roman(value).lower(),
    "ordinal": _ordinal,
    "ganada": _letters("가나다라마바사아자차카타파하"),
    "chosung": _letters("ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"),
    "decimalEnclosedCircle": _circled,
    "decimalEnclosedCircleChinese": _circled,
    "decimalEnclosedParen": _characters("⑴", 20),
    "decimalEnclosedFullstop": _characters("⒈", 20),
    "ideographEnclosedCircle": _characters("㊀", 10),
    "decimalFullWidth": _digits("０１２３４５６７８９"),
    "decimalFullWidth2": _digits("０１２３４５６７８９"),
    "numberInDash": lambda value: f"- {value} -",
    "koreanDigital": _digits("영일이삼사오육칠팔구"),
    "koreanCounting": _counting("일이삼사오육칠팔구", "십백천"),
    "koreanLegal": _native_korean,
    "koreanDigital2": _digits("零一二三四五六七八九"),
    "ideographDigital": _digits("〇一二三四五六七八九"),
    "japaneseCounting": _HAN,
    "chineseCounting": _HAN,
    "chineseCountingThousand": _HAN,
    "taiwaneseCounting": _HAN,
    "ideographTraditional": _letters("甲乙丙丁戊己庚辛壬癸"),
    "ideographZodiac": _letters("子丑寅卯辰巳午未申酉戌亥"),
    "aiueoFullWidth": _letters(
        "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン"
    ),
    "irohaFullWidth": _letters(
        "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン"
    ),
}
_OTHERS = {"none": ""}
