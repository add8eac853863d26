"""Numbers, dates and Latin names of a claim: what evidence must hold to the letter."""

import re
import unicodedata


def facts(claim: str) -> frozenset[str]:
    """Numbers with their units, days as month and day, and names, each as `holds` seeks it."""
    text = _plain(claim)
    days = {found[0] for found in _DAY.finditer(text)}
    numbers = {found[0] for found in _NUMBER.finditer(text)}
    names = {found[0].lower() for found in _NAME.finditer(unicodedata.normalize("NFKC", claim))}
    return frozenset(days | numbers | names)


def missing(claim_facts: frozenset[str], evidence: str) -> frozenset[str]:
    """The facts of a claim that do not stand in `evidence`."""
    text = _plain(evidence)
    return frozenset(fact for fact in claim_facts if not _holds(text, fact))


_UNITS = (
    r"(?:%|퍼센트|만|천|백|억|조|년|월|일|시|분|초|명|개|위|차|회|번|대|세|살|원|층|호|권|편|주|배"
    r"|(?:million|billion|thousand|percent|hundred|years?|months?|weeks?|days?|hours?|minutes?)\b)"
)
_NUMBER = re.compile(rf"(?<![\d.])\d+(?:\.\d+)?{_UNITS}?")
_DAY = re.compile(r"(?<!\d)\d{1,2}월\d{1,2}일")
# A capital after another word, or Latin letters amid Korean: English openers are no names.
_NAME = re.compile(r"(?<=[a-z가-힣,;:] )[A-Z][A-Za-z]+|[A-Za-z]{2,}(?=[가-힣])|\b[A-Z]{2,}\b")
_SEPARATED = re.compile(r"(?<!\d)(\d{4})[-./]\s?(\d{1,2})[-./]\s?(\d{1,2})(?!\d)\.?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_BEFORE_UNIT = re.compile(rf"(?<=\d)[\s-]+(?={_UNITS})|(?<=[년월])\s+(?=\d)")
_LEADING_ZERO = re.compile(r"(?<![\d.])0(?=\d)")


def _plain(text: str) -> str:
    """Lower case, 1,000 as 1000, 2019-06-30 as 2019년6월30일, no space between number and unit."""
    text = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).lower())
    text = _SEPARATED.sub(r"\1년\2월\3일", text)
    return _BEFORE_UNIT.sub("", _LEADING_ZERO.sub("", text))


def _holds(text: str, fact: str) -> bool:
    start = text.find(fact)
    while start >= 0:
        before, after = text[start - 1 : start], text[start + len(fact) :][:1]
        if _apart(before, fact[0]) and _apart(after, fact[-1]):
            return True
        start = text.find(fact, start + 1)
    return False


def _apart(neighbour: str, edge: str) -> bool:
    """Whether `neighbour` does not continue the number or Latin word that ends in `edge`."""
    if edge.isdigit():
        return not neighbour.isdigit()
    return not ("a" <= edge <= "z" and "a" <= neighbour <= "z")
