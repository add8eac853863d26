"""The rule for valid document ids, for the gateway's validation and for clients that choose ids."""

from unicodedata import category, normalize

MAX_BYTES = 512

# Unicode general categories: control, format, surrogate, private use, unassigned; line and paragraph
# separators. Letters, marks, numbers, punctuation, symbols and spaces are allowed.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# As a segment of a URL's path they are removed, even percent-encoded (RFC 3986, 5.2.4).
_DOT_SEGMENTS = frozenset({".", ".."})
# No character has more than four code points in its decomposition for each byte of its NFC.
_MAX_CHARACTERS = 4 * MAX_BYTES

ENGLISH = (
    f"must be 1 to {MAX_BYTES} bytes of UTF-8 without control, format, private-use and unassigned "
    'characters or line separators, not only spaces, and not "." or ".."'
)
KOREAN = (
    f"UTF-8로 1~{MAX_BYTES}바이트이고, 제어·서식·사용자 정의·미할당 문자와 줄 구분자가 없으며, "
    '공백만으로 이루어지거나 "." 또는 ".."이 아니어야 합니다.'
)


def canonical(value: str) -> str:
    """The form in which ids are stored and compared: NFC, as macOS file systems return NFD."""
    return normalize("NFC", value)


def is_document_id(value: str) -> bool:
    """Whether the text, in its canonical form, is a valid document id by the rule in `ENGLISH`."""
    if len(value) > _MAX_CHARACTERS:
        return False
    text = canonical(value)
    return (
        all(map(is_allowed, text))
        and len(text.encode()) <= MAX_BYTES
        and not text.isspace()
        and text != ""
        and text not in _DOT_SEGMENTS
    )


def is_allowed(character: str) -> bool:
    """Whether the character is allowed in a document id."""
    return category(character) not in _REFUSED
