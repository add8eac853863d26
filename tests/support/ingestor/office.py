"""Office documents made for the tests: workbooks, presentations, RTF, mail, and HWP from `files`.

No Python library writes HWP 5. The files were made with the editor rhwp 0.8 (npm's @rhwp/core): two headings
of the outline, a table with a merged cell, a footnote and a page header; and the same with a password.
"""

import io
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path

import pptx
import xlsxwriter
import xlwt  # type: ignore[import-untyped]
from PIL import Image
from pptx.util import Inches

from tests.support.ingestor.documents import archive

FILES = Path(__file__).with_name("files")
Rows = Sequence[Sequence[str | float | None]]
# Top and left, bottom and right, from 0.
Merged = tuple[int, int, int, int]

_ODS = "urn:oasis:names:tc:opendocument:xmlns"


def made(name: str) -> bytes:
    """One of FILES."""
    return (FILES / name).read_bytes()


def xlsx(sheets: Mapping[str, Rows], merged: Sequence[Merged] = ()) -> bytes:
    """A workbook; `merged` are cells of the first sheet."""
    target = io.BytesIO()
    workbook = xlsxwriter.Workbook(target)
    for name, rows in sheets.items():
        sheet = workbook.add_worksheet(name)
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    first = workbook.worksheets()[0]
    values = next(iter(sheets.values()))
    for top, left, bottom, right in merged:
        first.merge_range(top, left, bottom, right, values[top][left])
    workbook.close()
    return target.getvalue()


def xls(sheets: Mapping[str, Rows]) -> bytes:
    """A workbook of Excel 97."""
    workbook = xlwt.Workbook()
    for name, rows in sheets.items():
        sheet = workbook.add_sheet(name)
        for at, row in enumerate(rows):
            for column, value in enumerate(row):
                sheet.write(at, column, value)
    target = io.BytesIO()
    workbook.save(target)
    return target.getvalue()


def ods(name: str, rows: Sequence[Sequence[str]]) -> bytes:
    """An OpenDocument spreadsheet of texts."""
    cells = [
        "".join(
            f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
            for text in row
        )
        for row in rows
    ]
    table = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    content = (
        f'<office:document-content xmlns:office="{_ODS}:office:1.0" xmlns:table="{_ODS}:table:1.0" '
        f'xmlns:text="{_ODS}:text:1.0"><office:body><office:spreadsheet>'
        f'<table:table table:name="{name}">{table}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    mimetype = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = f'<manifest:manifest xmlns:manifest="{_ODS}:manifest:1.0"/>'
    members = {"mimetype": mimetype, "content.xml": content, "META-INF/manifest.xml": manifest}
    return archive(members)


def presentation(
    slides: Sequence[tuple[str, str]], notes: str = "", table: Sequence[Sequence[str]] = ()
) -> bytes:
    """Slides with a title and a text; the last has the notes and the table. An empty slide is a picture."""
    deck = pptx.Presentation()
    for title, text in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[1 if title else 6])
        if title:
            slide.shapes.title.text = title
            slide.placeholders[1].text = text
        else:
            slide.shapes.add_picture(io.BytesIO(PNG), Inches(1), Inches(1))
    if notes:
        slide.notes_slide.notes_text_frame.text = notes
    if table:
        size = (len(table), len(table[0]), Inches(1), Inches(4), Inches(6), Inches(2))
        cells = slide.shapes.add_table(*size).table
        for row, values in enumerate(table):
            for column, value in enumerate(values):
                cells.cell(row, column).text = value
    target = io.BytesIO()
    deck.save(target)
    return target.getvalue()


def rtf(*paragraphs: str) -> bytes:
    """An RTF in code page 949."""
    escaped = [
        "".join(chr(byte) if byte < 128 else f"\\'{byte:02x}" for byte in text.encode("cp949"))
        for text in paragraphs
    ]
    body = "\\par\n".join(escaped)
    return (
        f"{{\\rtf1\\ansi\\ansicpg949\\deff0{{\\fonttbl{{\\f0 Batang;}}}}\\f0 {body}\\par}}".encode()
    )


def mail(
    text: str, attachments: Mapping[str, bytes] | None = None, subject: str = "견적 요청의 건"
) -> bytes:
    """A message from one person to another; attachments are of no declared type."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "김하늘 <kim@example.com>"
    message["To"] = "lee@example.com"
    message["Date"] = "Mon, 30 Nov 2026 08:00:00 +0900"
    message.set_content(text)
    for name, content in (attachments or {}).items():
        message.add_attachment(
            content, maintype="application", subtype="octet-stream", filename=name
        )
    return message.as_bytes()


def png(width: int = 1, height: int = 1) -> bytes:
    """A white image."""
    target = io.BytesIO()
    Image.new("L", (width, height), 255).save(target, "PNG")
    return target.getvalue()


PNG = png()
