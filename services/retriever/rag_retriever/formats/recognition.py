"""Which format a document is in, by its content."""

import re
import stat
import struct
import zipfile
import zlib
from io import BytesIO

from rag_retriever.formats import reasons
from rag_retriever.formats.parsed import DOCX, HTML, MARKDOWN, PDF, PLAIN, refused

# What zipfile is known to raise for an archive whose directory lies.
BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
)


def container(content: bytes) -> str:
    """The media type of a document that is not text, "" for text; refuses the unsupported."""
    if _PDF_START.match(content):
        return PDF
    if content.startswith(_OLE):
        raise refused(_ole_reason(content))
    if content.startswith(_HWP):
        raise refused(reasons.HWP)
    if content.startswith(b"{\\rtf"):
        raise refused(reasons.RTF)
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _archive(content)
    return ""


def looks_binary(content: bytes) -> bool:
    """Whether the first bytes are those of a container, supported or not; cheap, never raises."""
    return bool(_OTHER_START.match(content))


def text_type(content: bytes, filename: str, declared: str) -> str:
    """PLAIN, MARKDOWN or HTML: by the first tag, else by the declared type, else by the name."""
    name = filename.lower()
    if declared in _HTML_TYPES or _HTML_START.match(content[:_HEAD]):
        return HTML
    if declared in _MARKDOWN_TYPES:
        return MARKDOWN
    if declared in ("", "application/octet-stream"):
        if name.endswith(_MARKDOWN_NAMES):
            return MARKDOWN
        if name.endswith(_HTML_NAMES):
            return HTML
    return PLAIN


def meta_charset(content: bytes) -> str:
    """The charset that an HTML page declares in its first bytes, or ""."""
    found = _META_CHARSET.search(content[:_HEAD])
    return found[1].decode() if found else ""


_HEAD = 4096
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HWP = b"HWP Document File"
_OTHER_START = re.compile(rb"\s*%PDF-|PK[\x03\x05\x07]|\xd0\xcf\x11\xe0|HWP Document File|\{\\rtf")
_PDF_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,1000}%PDF-")
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)?"
    rb"<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_META_CHARSET = re.compile(
    rb"<(?:meta|\?xml)\b[^>]{0,300}?(?:charset|encoding)\s*=\s*[\"']?([\w-]{2,40})", re.IGNORECASE
)
_MARKDOWN_NAMES = (".md", ".markdown", ".mdown", ".mkd")
_HTML_NAMES = (".html", ".htm", ".xhtml")
_MARKDOWN_TYPES = (MARKDOWN, "text/x-markdown")
_HTML_TYPES = (HTML, "application/xhtml+xml")
_MEMBERS = {
    "word/document.xml": "",
    "xl/workbook.xml": reasons.SPREADSHEET,
    "ppt/presentation.xml": reasons.PRESENTATION,
    "Contents/header.xml": reasons.HWPX,
    "Contents/content.hpf": reasons.HWPX,
}
_MIMETYPES = {
    b"application/hwp+zip": reasons.HWPX,
    b"application/epub+zip": reasons.EPUB,
    b"application/vnd.oasis.opendocument": reasons.OPEN_DOCUMENT,
}


def _ole_reason(content: bytes) -> str:
    """[MS-CFB] names are UTF-16; HWP 5 keeps its signature in a stream of plain bytes."""
    if _HWP in content:
        return reasons.HWP
    if "EncryptedPackage".encode("utf-16-le") in content:
        return reasons.ENCRYPTED
    return reasons.OFFICE


def _archive(content: bytes) -> str:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = archive.NameToInfo
            if any(map(_leads_out, archive.infolist())):
                raise refused(reasons.OUTSIDE)
    except BROKEN_ARCHIVE as error:
        raise refused(reasons.ZIP) from error
    # OpenDocument, EPUB and HWPX store their type, uncompressed, in the first member.
    for mark, reason in _MIMETYPES.items():
        if mark in content[:200]:
            raise refused(reason)
    for name, reason in _MEMBERS.items():
        if name in names:
            if reason:
                raise refused(reason)
            return DOCX
    raise refused(reasons.ZIP)


def _leads_out(member: zipfile.ZipInfo) -> bool:
    """Nothing is ever unpacked to a file; but no honest document names its parts like this."""
    parts = member.filename.replace("\\", "/").split("/")
    absolute = parts[0] == "" or parts[0].endswith(":")
    return absolute or ".." in parts or stat.S_ISLNK(member.external_attr >> 16)
