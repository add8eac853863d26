"""Detects a document's format by its content."""

import re
import stat
import struct
import zipfile
import zlib
from io import BytesIO

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import DOCX, HTML, MARKDOWN, PDF, PLAIN, content_error

# The exceptions that zipfile raises for archives with an invalid directory.
BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
)


def binary_media_type(content: bytes) -> str:
    """The media type of a binary document, "" for text. Raises InvalidArgument if unsupported."""
    if _PDF_START.match(content):
        return PDF
    if content.startswith(_OLE):
        raise content_error(_ole_reason(content))
    if content.startswith(_HWP):
        raise content_error(reasons.HWP)
    if content.startswith(b"{\\rtf"):
        raise content_error(reasons.RTF)
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _archive(content)
    return ""


def looks_binary(content: bytes) -> bool:
    """Whether the content starts like a binary format, supported or not. Cheap; never raises."""
    return bool(_OTHER_START.match(content))


def text_type(content: bytes, filename: str, declared: str) -> str:
    """PLAIN, MARKDOWN or HTML: by the first tag, else the declared type, else the file name."""
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


def is_declared_table(filename: str, declared: str) -> bool:
    """Whether the declared type, or the file name if none is declared, is that of CSV or TSV."""
    if declared in _TABLE_TYPES:
        return True
    return declared in _UNSPECIFIC_TYPES and filename.lower().endswith(_TABLE_NAMES)


def meta_charset(content: bytes) -> str:
    """The charset that an HTML page declares in its first bytes, or ""."""
    match = _META_CHARSET.search(content[:_HEAD])
    return match[1].decode() if match else ""


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
_TABLE_NAMES = (".csv", ".tsv", ".tab")
_TABLE_TYPES = ("text/csv", "text/tab-separated-values", "application/csv")
# Unspecific types, for which the file name decides.
_UNSPECIFIC_TYPES = ("", "application/octet-stream", PLAIN)
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
    """[MS-CFB] names are UTF-16; HWP 5 stores its signature in a stream of plain bytes."""
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
                raise content_error(reasons.OUTSIDE)
    except BROKEN_ARCHIVE as error:
        raise content_error(reasons.ZIP) from error
    # OpenDocument, EPUB and HWPX store their type, uncompressed, in the first member.
    for mark, reason in _MIMETYPES.items():
        if mark in content[:200]:
            raise content_error(reason)
    for name, reason in _MEMBERS.items():
        if name in names:
            if reason:
                raise content_error(reason)
            return DOCX
    raise content_error(reasons.ZIP)


def _leads_out(member: zipfile.ZipInfo) -> bool:
    """Whether a member's path leaves the archive. Nothing is unpacked to files, but it shows malice."""
    parts = member.filename.replace("\\", "/").split("/")
    absolute = parts[0] == "" or parts[0].endswith(":")
    return absolute or ".." in parts or stat.S_ISLNK(member.external_attr >> 16)
