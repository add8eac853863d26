"""Documents made to hurt whoever reads them, each with the sentence that it is refused with."""

import io
import stat
import zipfile
import zlib
from functools import cache

from rag_ingestor.parsing import reasons
from tests.support.ingestor.documents import KOREAN, W, archive, blank_pdf, entities, wordml

_TEXT = f"<w:p><w:r><w:t>{KOREAN}</w:t></w:r></w:p>"
_DOCUMENT = f'<w:document xmlns:w="{W}"><w:body>{_TEXT}</w:body></w:document>'


def leading_out(name: str, **others: str) -> bytes:
    """A good DOCX with one member more, of that name."""
    return archive({"word/document.xml": _DOCUMENT, name: "* * * * * root id", **others})


def linked(target: str) -> bytes:
    """A DOCX whose text is a symbolic link."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        link = zipfile.ZipInfo("word/document.xml")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, target)
    return out.getvalue()


def external(target: str) -> bytes:
    """A DOCX whose text is to be fetched from elsewhere."""
    prolog = f'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY x SYSTEM "{target}">]>'
    return wordml("<w:p><w:r><w:t>&x;</w:t></w:r></w:p>", prolog)


def wide(encoding: str) -> bytes:
    """A DOCX full of laughs, in an encoding in which no byte says DOCTYPE."""
    with zipfile.ZipFile(io.BytesIO(entities())) as file:
        text = file.read("word/document.xml").decode()
    return archive({"word/document.xml": text.replace("?>", "?>\n", 1).encode(encoding)})


def swelling_docx(mebibytes: int) -> bytes:
    """A DOCX whose text alone unpacks to so much."""
    return archive({"word/document.xml": b"<a>" + bytes(mebibytes << 20) + b"</a>"})


def swelling_pdf(mebibytes: int, layers: int = 1) -> bytes:
    """A PDF whose one page unpacks to so much, packed so many times."""
    stream = _packed(mebibytes)
    for _ in range(layers - 1):
        stream = zlib.compress(stream, 9)
    filters = " ".join(["/FlateDecode"] * layers)
    return _page(f"/Filter [{filters}] /Length {len(stream)}", stream)


@cache
def _packed(mebibytes: int) -> bytes:
    packer = zlib.compressobj(1)
    block = b"BT (a) Tj ET\n" * 80_660
    return b"".join(packer.compress(block) for _ in range(mebibytes)) + packer.flush()


def _page(entries: str, stream: bytes) -> bytes:
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        f"<< {entries} >>\nstream\n".encode() + stream + b"\nendstream",
    ]
    out = bytearray(b"%PDF-1.4\n")
    for number, body in enumerate(objects, 1):
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    return bytes(out + b"trailer << /Size 5 /Root 1 0 R >>\n%%EOF\n")


def endless_outline() -> bytes:
    """A PDF whose outline is a ring and whose pages are their own parents."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /Outlines 4 0 R >>",
        "<< /Type /Pages /Count 1 /Kids [2 0 R 3 0 R] /Parent 2 0 R >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
        "<< /First 5 0 R /Last 5 0 R /Count 1 >>",
        "<< /Title (a) /Parent 4 0 R /Next 5 0 R /First 5 0 R >>",
    ]
    body = "".join(f"{at} 0 obj\n{text}\nendobj\n" for at, text in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer << /Size 6 /Root 1 0 R >>\n%%EOF\n".encode()


REFUSED: dict[str, tuple[bytes, str]] = {
    "a zip bomb": (swelling_docx(80), reasons.EXPANDS),
    "a zip bomb beside the text": (
        archive({"word/document.xml": _DOCUMENT, "word/media/1.png": bytes(80 << 20)}),
        reasons.EXPANDS,
    ),
    "a bomb of a workbook": (
        archive({"xl/workbook.xml": "<a/>", "xl/worksheets/sheet1.xml": bytes(80 << 20)}),
        reasons.EXPANDS,
    ),
    "a bomb of a presentation": (
        archive({"ppt/presentation.xml": "<a/>", "ppt/slides/slide1.xml": bytes(80 << 20)}),
        reasons.EXPANDS,
    ),
    "more members than a document has": (
        archive({"word/document.xml": "<a/>", **{f"word/{at}": "" for at in range(20_001)}}),
        reasons.EXPANDS,
    ),
    "an entity in an HWPX": (
        archive({"Contents/header.xml": "<a/>", "Contents/section0.xml": "<!DOCTYPE a><a/>"}),
        reasons.ENTITIES,
    ),
    "a billion laughs": (entities(), reasons.ENTITIES),
    "a billion laughs in UTF-16": (wide("utf-16"), reasons.ENTITIES),
    "a file by an entity": (external("file:///etc/passwd"), reasons.ENTITIES),
    "a page by an entity": (external("http://169.254.169.254/latest"), reasons.ENTITIES),
    "ten thousand pages": (blank_pdf(10_000), reasons.TOO_MANY_PAGES),
    "a name that climbs": (leading_out("../../etc/cron.d/x"), reasons.OUTSIDE),
    "a name that climbs late": (leading_out("word/../../x"), reasons.OUTSIDE),
    "a name that climbs in another way": (leading_out("..\\..\\x.dll"), reasons.OUTSIDE),
    "an absolute name": (leading_out("/etc/passwd"), reasons.OUTSIDE),
    "a name with a drive": (leading_out("C:\\Windows\\x.dll"), reasons.OUTSIDE),
    "a symbolic link": (linked("/etc/passwd"), reasons.OUTSIDE),
    "an HWPX that climbs": (
        archive({"mimetype": "application/hwp+zip", "../x": "a", "Contents/header.xml": "<a/>"}),
        reasons.OUTSIDE,
    ),
    "HTML without an end": (b"<html>" + b"<div>" * 100_000, reasons.BROKEN_HTML),
    "marks without an end": (b"a" + "\u0301\u0323".encode() * 200_000, reasons.COMBINING),
}
