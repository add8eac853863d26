"""Detects a document's format by its content."""

import io
import re
import stat
import struct
import zipfile
import zlib

import olefile  # type: ignore[import-untyped]

from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parsed import (
    BMP,
    DOCX,
    EML,
    GIF,
    HTML,
    HWP,
    HWPX,
    JPEG,
    MARKDOWN,
    ODS,
    PDF,
    PLAIN,
    PNG,
    PPTX,
    RTF,
    TIFF,
    WEBP,
    XLS,
    XLSX,
    content_error,
)

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
        return _ole_media_type(content)
    if content.startswith(_HWP):
        return HWP
    if content.startswith(b"{\\rtf"):
        return RTF
    if content[4:12] in _HEIF:
        raise content_error(reasons.IMAGE)
    image = _image_type(content)
    if image:
        return image
    if _HWPML.match(content[:_HEAD]):
        raise content_error(reasons.HWPML)
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _archive(content)
    return ""


def looks_binary(content: bytes) -> bool:
    """Whether the content starts like a binary format, supported or not. Cheap; never raises."""
    return (
        _OTHER_START.match(content) is not None
        or _PDF_START.match(content) is not None
        or content[4:12] in _HEIF
        or bool(_image_type(content))
    )


def text_type(content: bytes, filename: str, declared: str) -> str:
    """PLAIN, MARKDOWN, HTML or EML: by the first tag or headers, else the declared type, else the name."""
    name = filename.lower()
    if declared == EML or _is_message(content, name):
        return EML
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


def promises_binary(filename: str) -> bool:
    """Whether the file's name is that of a binary format."""
    return filename.lower().endswith(_BINARY_NAMES)


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
# Windows declares every table as Excel's.
_TABLE_TYPES = ("text/csv", "text/tab-separated-values", "application/csv", XLS, XLSX)
# Unspecific types, for which the file name decides.
_UNSPECIFIC_TYPES = ("", "application/octet-stream", PLAIN)
_MEMBERS = {
    "word/document.xml": DOCX,
    "xl/workbook.xml": XLSX,
    "xl/workbook.bin": XLSX,
    "ppt/presentation.xml": PPTX,
    "Contents/header.xml": HWPX,
    "Contents/content.hpf": HWPX,
}
# What OpenDocument, EPUB and HWPX store, uncompressed, in the first member.
_MIMETYPES = {
    b"application/hwp+zip": HWPX,
    b"application/vnd.oasis.opendocument.spreadsheet": ODS,
}
_UNSUPPORTED_MIMETYPES = {
    b"application/epub+zip": reasons.EPUB,
    b"application/vnd.oasis.opendocument": reasons.OPEN_DOCUMENT,
}
_STREAMS = {"FileHeader": HWP, "Workbook": XLS, "Book": XLS}
_OUTLOOK = "__properties_version1.0"
_OTHER_STREAMS = ("WordDocument", "PowerPoint Document", "__nameid_version")
_IMAGES = {
    b"\x89PNG\r\n\x1a\n": PNG,
    b"\xff\xd8\xff": JPEG,
    b"GIF87a": GIF,
    b"GIF89a": GIF,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
}
_BMP = re.compile(rb"BM.{4}\0{4}", re.DOTALL)
_HEIF = (b"ftypheic", b"ftypheif", b"ftypmif1", b"ftypavif")
_HWPML = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?<HWPML\b")
_BINARY_NAMES = (
    *(".pdf", ".docx", ".doc", ".pptx", ".ppt", ".xlsx", ".xls", ".ods", ".hwp", ".hwpx"),
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".zip"),
)
_MESSAGE_HEADERS = re.compile(
    rb"^(?:from|to|subject|date|received|return-path|message-id|mime-version|delivered-to)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
# Headers that a letter typed as text does not begin with.
_MACHINE_HEADERS = re.compile(
    rb"^(?:received|return-path|message-id|mime-version|delivered-to)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER_LINES = re.compile(rb"(?:[!-9;-~]+:[^\n]*(?:\r?\n[ \t][^\n]*)*\r?\n)+")


def _image_type(content: bytes) -> str:
    """The media type of an image, "" for others."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return WEBP
    if _BMP.match(content):
        return BMP
    return next((kind for mark, kind in _IMAGES.items() if content.startswith(mark)), "")


def _is_message(content: bytes, name: str) -> bool:
    """Whether the content begins with the headers of a mail message; by its name fewer are needed."""
    lines = _HEADER_LINES.match(content[:_HEAD])
    if not lines:
        return False
    if name.endswith(".eml"):
        return _MESSAGE_HEADERS.search(lines[0]) is not None
    found = _MESSAGE_HEADERS.findall(lines[0])
    return len(found) > 2 and _MACHINE_HEADERS.search(lines[0]) is not None


def _ole_media_type(content: bytes) -> str:
    """By the streams of the root: a letter may have a workbook in it, and the other way round."""
    streams = _root_streams(content)
    for name, media_type in _STREAMS.items():
        if name in streams:
            return media_type
    if _OUTLOOK in streams:
        raise content_error(reasons.OUTLOOK)
    if streams:
        raise content_error(reasons.ENCRYPTED if "EncryptedPackage" in streams else reasons.OFFICE)
    return _damaged_ole_type(content)


def _root_streams(content: bytes) -> set[str]:
    """The names of the streams that are in no folder; empty for a damaged file."""
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as file:
            return {path[0] for path in file.listdir() if len(path) == 1}
    except (OSError, ValueError, IndexError, struct.error, RecursionError):
        return set()


def _damaged_ole_type(content: bytes) -> str:
    """[MS-CFB] names are UTF-16; HWP 5 stores its signature in a stream of plain bytes."""
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise content_error(reasons.ENCRYPTED)
    # Word, PowerPoint and Outlook files may have a workbook or an HWP document in them.
    if any(name.encode("utf-16-le") in content for name in _OTHER_STREAMS):
        raise content_error(reasons.OFFICE)
    if _HWP in content:
        return HWP
    if any(name.encode("utf-16-le") in content for name in ("Workbook\0", "Book\0")):
        return XLS
    raise content_error(reasons.OFFICE)


def _archive(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.NameToInfo
            if any(map(_leads_out, archive.infolist())):
                raise content_error(reasons.OUTSIDE)
    except BROKEN_ARCHIVE as error:
        raise content_error(reasons.ZIP) from error
    for mark, media_type in _MIMETYPES.items():
        if mark in content[:200]:
            return media_type
    for mark, reason in _UNSUPPORTED_MIMETYPES.items():
        if mark in content[:200]:
            raise content_error(reason)
    for name, media_type in _MEMBERS.items():
        if name in names:
            return media_type
    raise content_error(reasons.ZIP)


def _leads_out(member: zipfile.ZipInfo) -> bool:
    """Whether a member's path leaves the archive. Nothing is unpacked to files, but it shows malice."""
    parts = member.filename.replace("\\", "/").split("/")
    absolute = parts[0] == "" or parts[0].endswith(":")
    return absolute or ".." in parts or stat.S_ISLNK(member.external_attr >> 16)
