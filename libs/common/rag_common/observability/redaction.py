"""Redacts personal data and secrets in text before it leaves the process."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

REDACTED = "[redacted]"
# Ids and names by which lines are searched. `subject` occurs in the audit log only, which names users.
EXEMPT = frozenset(
    {"trace_id", "span_id", "request_id", "timestamp", "level", "service", "logger", "method"}
    | {"subject", "fingerprint"}
)
_MAX_DEPTH = 6


def redact(text: str) -> str:
    """The text with a label such as `[phone]` instead of each secret. Linear time."""
    plain = text if text.isascii() else text.translate(_PLAIN)
    if not _may_contain_secret(plain):
        return text
    parts, done, position = [], 0, 0
    while match := _PATTERN.search(plain, position):
        span = _span(match)
        if span is None:
            position = match.start() + 1
            continue
        position = match.end() if match.lastgroup != "card" else span[1]
        if match.lastgroup != "identifier":
            parts += [text[done : span[0]], f"[{str(match.lastgroup).replace('_', '-')}]"]
            done = span[1]
    return "".join(parts) + text[done:]


def redact_event(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor that redacts an event's values; put it after those that create text.

    Values of keys such as password or token are replaced whatever they are; those of keys in EXEMPT
    are unchanged. Nested values are redacted to a depth of six levels; deeper ones are replaced.
    """
    for name, value in event.items():
        # structlog's processors use keys with an underscore among themselves.
        if name not in EXEMPT and not name.startswith("_"):
            event[name] = REDACTED if _SECRET_NAME.fullmatch(name) else _value(value, 0)
    return event


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth == _MAX_DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        return {
            redact(str(name)): REDACTED
            if _SECRET_NAME.fullmatch(str(name))
            else _value(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(item, depth + 1) for item in value]
    return redact(repr(value))


def _may_contain_secret(plain: str) -> bool:
    """A fast check that is False for most values, before the search with all patterns."""
    if _NUMBER.search(plain):
        return True
    lowered = plain.lower()
    for sign in _SIGNS:
        if sign in lowered:
            return True
    return (":" in lowered or "=" in lowered) and any(name in lowered for name in _NAMES)


def _span(match: re.Match[str]) -> tuple[int, int] | None:
    """The span of the secret in the text; None if it is not a secret."""
    if match.lastgroup == "card":
        return _card(match)
    return match.span("value") if match.lastgroup == "secret" else match.span()


def _card(match: re.Match[str]) -> tuple[int, int] | None:
    """The span of a valid card number; digits that follow it may look like another group of it."""
    ends = [group.end() for group in _GROUP.finditer(match[0])]
    for end in reversed(ends):
        number = "".join(_GROUP.findall(match[0][:end]))
        if _ISSUED.fullmatch(number) and _luhn(number):
            return match.start(), match.start() + end
    return None


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])) % 10 == 0


def _plain() -> dict[int, str]:
    """A translation table of full-width forms, other digits, dashes and spaces to one ASCII character."""
    forms = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    forms |= {code: str((code - 0x1D7CE) % 10) for code in range(0x1D7CE, 0x1D800)}
    forms |= dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0x30FC], "-")
    spaces = [0xA0, 0xAD, *range(0x2000, 0x200E), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF]
    return forms | dict.fromkeys(spaces, " ")


_PLAIN = _plain()
_SIGNS = ("@", "eyj", "bearer", "rag_", "hv", "sk-", "akia", "asia", "s.", "b.", "r.", "-----begin")
_NAMES = (
    "passw",
    "passphrase",
    "pwd",
    "authorization",
    "key",
    "비밀번호",
    "secret",
    "token",
    "cookie",
)
_NUMBER = re.compile(r"[0-9][0-9 .()*-]{7,}[0-9*]")
_GROUP = re.compile(r"[0-9]+")
# Lengths and prefixes of card schemes; Unix times and dates have none of them.
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|3[068]\d{12}|39\d{12}|3[47]\d{13}|35\d{14}"
    r"|(?:22[2-9]|2[3-6]\d|27[01])\d{13}|2720\d{12}|5[1-5]\d{14}|9\d{15}|(?:5[06-9]|6\d)\d{11,17}"
)
_SECRET_NAME = re.compile(
    r"(?i)(?:.*[._-])?(?:passw(?:or)?d|passphrase|pwd|secret(?:[_-]?id)?|token|cookie"
    r"|authorization|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret)"
)

# A letter beside a number is allowed: Korean particles follow without a space, and so may Latin words.
_AT, _END = r"(?<![0-9])", r"(?![0-9])"
# Without a dash, digits after "0." are a fraction, and numbers with dots are a version.
_ALONE = _AT + r"(?<![0-9]\.)"
_BORN = (
    r"[0-9]{2}(?:(?:0[13578]|1[02])(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)(?:0[1-9]|[12][0-9]|30)|02(?:0[1-9]|[12][0-9]))"
)
_ABROAD = r"(?:(?:\+|00)82[ .-]{0,3}(?:\(0\)[ .-]?|0)?|82[ .-]{0,3}0?(?=10)|0)"
_AREA = r"(?:1[016-9]|2|[3-6][1-5]|[78]0|50[2-8])"
_QUOTED = r'\\"[^"\\]*+(?:\\")?|"(?:[^"\\]|\\.)*+"?' + r"|'(?:[^'\\]|\\.)*+'?"
_SAID = r"(?i:passw(?:or)?d|passphrase|pwd|authorization|(?:api|access|private)[_-]?key)|비밀번호"
_SET = r"(?i:secret(?:[_-]?id|[_-]?key)?|token|cookie)"
_TOKEN_TEXT = r"[A-Za-z0-9._~+/=-]"  # noqa: S105
_RULES = {
    "private_key": r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)"
    r"(?:-----END[^-]{0,60}-----|\Z)",
    "credentials": r"(?<=://)[^\s/@:]{0,256}:[^\s/]{0,1024}(?=@)",
    "secret": rf"(?:(?:{_SAID})\\?[\"']?\s{{0,3}}[:=]|{_SET}(?:\s{{0,3}}=|\\?[\"']\s{{0,3}}:))\s{{0,3}}"
    rf"(?P<value>(?i:(?:bearer|basic|digest|negotiate|token)\s{{1,3}})?(?:{_QUOTED}|[^\s\"'&;]++))",
    "token": rf"eyJ[A-Za-z0-9_-]{{8,}}(?:\.[A-Za-z0-9_-]*+){{0,4}}|(?i:(?<![a-z])bearer)\s{{1,3}}"
    rf"(?=[A-Za-z._~+/=-]{{0,64}}[0-9]|{_TOKEN_TEXT}{{24}}){_TOKEN_TEXT}{{8,}}+",
    "api_key": r"rag_[A-Za-z0-9]{16}_[A-Za-z0-9]{8,}+"
    r"|(?<![A-Za-z0-9])sk-(?=[a-z_-]{0,64}[0-9A-Z])[A-Za-z0-9_-]{16,}+"
    r"|(?<![A-Za-z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])",
    "vault_token": r"(?:hv[sbr]\.|(?<![A-Za-z0-9])[sbr]\.(?=[a-z]{0,64}[0-9A-Z]))"
    r"[A-Za-z0-9_-]{20,}+(?:\.[A-Za-z0-9]{1,16}(?![A-Za-z0-9]))?",
    "email": r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++@(?:[A-Za-z0-9-]++\.)+[A-Za-z]{2,}+",
    # Ids, whose digits could look like a number; they are not redacted.
    "identifier": r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|(?=[0-9]{0,64}[a-f])[0-9a-f]{16,}+)(?![0-9A-Za-z])",
    "resident_number": rf"{_AT}{_BORN}[ -]{{1,3}}[1-8][0-9*]{{6}}{_END}"
    rf"|{_ALONE}{_BORN}[1-8][0-9]{{6}}{_END}",
    "phone": rf"{_ALONE}{_ABROAD}{_AREA}[ .()-]{{0,3}}[0-9]{{3,4}}[ .-]{{0,3}}[0-9]{{4}}{_END}"
    rf"|{_AT}{_ABROAD}{_AREA}[ ()-]{{1,3}}[0-9]{{3,4}}[ -]{{1,3}}[0-9]{{4}}{_END}",
    # Last, as it is the only one that is validated after the match.
    "card": rf"{_AT}[2-69][0-9]{{3}}(?:[ .-]{{1,3}}[0-9]{{3,7}}){{2,4}}{_END}"
    rf"|{_ALONE}[2-69][0-9]{{12,18}}{_END}",
}
_PATTERN = re.compile("|".join(f"(?P<{name}>{rule})" for name, rule in _RULES.items()))
