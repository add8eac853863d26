"""Decodes bytes of unknown encoding: as Unicode first, then in the encodings of Korean files."""

import codecs
import re
import unicodedata

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import content_error


def decode_text(content: bytes, charset: str = "") -> str:
    """The text without its byte order mark; `charset` is declared by the sender or the file.

    The order of precedence is: byte order mark, UTF-16 without one if the bytes look like it, UTF-8, the
    declared charset, and CP949 if the result looks like Korean. A few stray NUL bytes are left out. Raises
    InvalidArgument if none applies or the content is binary.
    """
    text = _decode_by_mark(content)
    if text is None and b"\0" in content[:_SAMPLE]:
        text = _decode_utf16(content)
    if text is None:
        text = _decode_first(content, ["utf-8", *_declared_codecs(charset)])
    if text is None:
        text = _decode_korean(content)
    if text is None:
        raise content_error(reasons.BINARY if b"\0" in content else reasons.UNDECODABLE)
    sample = text[:_SAMPLE]
    nulls = text.count("\0")
    if len(_CONTROLS.findall(sample)) * 20 > len(sample) or nulls * 2 > len(text):
        raise content_error(reasons.BINARY)
    if nulls > _MAX_NULLS and nulls * 100 > len(text):
        raise content_error(reasons.BINARY)
    return text.replace("\0", "")


_SAMPLE = 65_536
# So many NUL bytes may have got into any text; more must be rare in it.
_MAX_NULLS = 4
_CONTROLS = re.compile("[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CODECS = {
    "euc-kr": "cp949",
    "cp949": "cp949",
    "uhc": "cp949",
    "ms949": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "windows-1252": "cp1252",
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
}
# The most frequent syllables of Korean prose: nearly half of all syllables there, but only a few per
# cent of those that result from misreading another encoding.
_COMMON = frozenset(
    "이다는에의을가고하은지로한를사도자기어리서대인나시그있아정으보수해일전들적게부과만조장라제"
)


def _decode_by_mark(content: bytes) -> str | None:
    for mark, codec in _MARKS:
        if content.startswith(mark):
            text = _decode_first(content[len(mark) :], [codec])
            if text is None:
                raise content_error(reasons.UNDECODABLE)
            return text
    return None


def _decode_utf16(content: bytes) -> str | None:
    """UTF-16 without a byte order mark: the byte order in which spaces, line ends and digits are such.

    In the wrong order they become rare or unassigned characters, whereas Korean syllables remain Korean.
    """
    texts = [content.decode(name, "replace") for name in ("utf-16-le", "utf-16-be")]
    samples = [text[:_SAMPLE] for text in texts]
    ascii_counts = [sum(char.isprintable() and char.isascii() for char in one) for one in samples]
    best = 0 if ascii_counts[0] >= ascii_counts[1] else 1
    foreign = sum(_is_foreign(char) for char in samples[best])
    if not ascii_counts[best] or foreign * 50 > len(samples[best]):
        return None
    return texts[best] if "\ufffd" not in texts[best] else None


def _is_foreign(char: str) -> bool:
    """Whether text does not have this character: NUL, unassigned, private, or of no block in use."""
    return char == "\0" or unicodedata.category(char) in ("Cn", "Co", "Cs")


def _declared_codecs(charset: str) -> list[str]:
    codec = _CODECS.get(charset.strip().strip("\"'").lower())
    return [codec] if codec else []


def _decode_first(content: bytes, names: list[str]) -> str | None:
    for name in names:
        try:
            return content.decode(name)
        except UnicodeDecodeError:
            continue
    return None


def _decode_korean(content: bytes) -> str | None:
    text = _decode_first(content, ["cp949"])
    if text is None:
        return None
    foreign = [char for char in text[:_SAMPLE] if not char.isascii()]
    hangul = sum("가" <= char <= "힣" for char in foreign)
    common = sum(char in _COMMON for char in foreign)
    return text if hangul * 2 >= len(foreign) and common * 8 >= hangul else None


# Every codec that may be used.
CODECS = ("utf-8", *(codec for _, codec in _MARKS), *_CODECS.values())
