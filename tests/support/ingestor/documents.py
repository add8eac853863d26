"""Documents made for the tests: PDF, DOCX, archives, and broken or hostile ones among them."""

import io
import zipfile
from collections.abc import Mapping, Sequence

import docx
from reportlab.lib.pdfencrypt import StandardEncryption  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

KOREAN = (
    "연차 휴가는 입사 1년이 지나면 15일이 생깁니다. 남은 휴가는 다음 해 3월까지 쓸 수 있습니다."
)
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
FONT = "HYSMyeongJo-Medium"


def pdf(
    pages: Sequence[Sequence[str]],
    headings: Sequence[str] = (),
    password: str = "",
    owner: str = "",
) -> bytes:
    """A PDF with a line of text per string; `headings` are in its outline, one a page."""
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    target = io.BytesIO()
    encryption = StandardEncryption(password, owner, strength=128) if password or owner else None
    canvas = Canvas(target, encrypt=encryption)
    for number, lines in enumerate(pages):
        canvas.setFont(FONT, 11)
        for at, line in enumerate(lines):
            canvas.drawString(60, 780 - 18 * at, line)
        if number < len(headings):
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry(headings[number], str(number), 0)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def blank_pdf(pages: int) -> bytes:
    """A PDF of empty pages, written by hand as a library takes seconds for ten thousand."""
    kids = " ".join(f"{number} 0 R" for number in range(3, pages + 3))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {pages} /Kids [{kids}] >>",
        *["<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] >>"] * pages,
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\n".encode()
    return bytes(out + f"startxref\n{start}\n%%EOF\n".encode())


def handbook(paragraphs: int = 1) -> bytes:
    """A DOCX with a title, two headings, a list item and a table."""
    document = docx.Document()
    document.core_properties.title = "휴가 규정"
    document.add_heading("휴가", 1)
    for _ in range(paragraphs):
        document.add_paragraph(KOREAN)
    document.add_heading("반차", 2)
    document.add_paragraph("오전과 오후로 나눈다.", style="List Bullet")
    table = document.add_table(2, 2)
    for at, word in enumerate(["구분", "일수", "연차", "15"]):
        table.cell(at // 2, at % 2).text = word
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def archive(members: Mapping[str, bytes | str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            method = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            file.writestr(name, content, method)
    return target.getvalue()


def wordml(body: str, prolog: str = "") -> bytes:
    """A DOCX of one part whose body is given as XML."""
    xml = f'{prolog}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    return archive({"word/document.xml": xml})


def entities() -> bytes:
    """A DOCX that asks for a billion laughs."""
    laughs = '<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {name} "{f"&{inner};" * 10}">'
        for inner, name in zip("abcdefghi", "bcdefghij", strict=True)
    )
    paragraph = "<w:p><w:r><w:t>&j;</w:t></w:r></w:p>"
    return wordml(paragraph, f'<?xml version="1.0"?><!DOCTYPE w [{laughs}]>')
