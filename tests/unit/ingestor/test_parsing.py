"""Which documents are read, what of them, and why the others are refused."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_contract.errors import InvalidArgument
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parse import Kind, Limits, Parsed, parse
from rag_ingestor.parsing.parsed import DOCX, HTML, MARKDOWN, PDF, PLAIN
from tests.support.ingestor import documents, hostile
from tests.support.ingestor.documents import KOREAN


def reason(
    content: bytes, filename: str = "", declared: str = "", limits: Limits | None = None
) -> str:
    with pytest.raises(InvalidArgument) as caught:
        parse(content, filename, declared, limits)
    (violation,) = caught.value.violations
    assert violation.field == "content"
    return violation.description


def headings(parsed: Parsed) -> list[tuple[int, str]]:
    return [(block.level, block.heading) for block in parsed.blocks if block.kind is Kind.HEADING]


@pytest.mark.parametrize(
    "content",
    [
        KOREAN.encode(),
        b"\xef\xbb\xbf" + KOREAN.encode(),
        KOREAN.encode("utf-16"),
        b"\xfe\xff" + KOREAN.encode("utf-16-be"),
        KOREAN.encode("cp949"),
        unicodedata.normalize("NFD", KOREAN).encode(),
    ],
    ids=["utf-8", "utf-8-bom", "utf-16-le", "utf-16-be", "cp949", "nfd"],
)
def test_korean_text_reads_the_same_in_every_encoding(content: bytes) -> None:
    assert parse(content).text == KOREAN


def test_a_declared_charset_is_tried_after_utf_8() -> None:
    assert parse("café à côté".encode("cp1252"), "", "text/plain; charset=ISO-8859-1").text == (
        "café à côté"
    )


@pytest.mark.parametrize(
    "content",
    [
        "这是一个关于检索增强生成的文件，它说明如何查找文档。".encode("gbk"),
        "これは文書を検索する方法についての説明です。".encode("shift_jis"),
        "café à côté".encode("latin-1"),
        b"\xff\xfea",
    ],
    ids=["gbk", "shift_jis", "latin-1", "half a utf-16 unit"],
)
def test_text_in_another_encoding_is_refused_and_not_garbled(content: bytes) -> None:
    assert reason(content) == reasons.UNDECODABLE


@pytest.mark.parametrize("content", [b"\0a\0\0", b"\x7fELF\2\1\1\0\0\0\0\0", bytes(range(1, 32))])
def test_binary_data_is_refused(content: bytes) -> None:
    assert reason(content) == reasons.BINARY


def test_empty_and_blank_documents_are_refused() -> None:
    assert reason(b"") == reasons.EMPTY
    assert reason(b" \n\t ") == reasons.NO_TEXT
    assert reason(b"<html><script>1</script></html>") == reasons.NO_TEXT


def test_the_size_limits_hold() -> None:
    assert reason(b"12345", limits=Limits(max_bytes=4)) == reasons.TOO_LARGE
    assert reason(b"12345", limits=Limits(max_chars=4)) == reasons.TOO_LONG
    assert reason(b"<p>12345</p>", "a.html", limits=Limits(max_chars=4)) == reasons.TOO_LONG


def test_plain_text_is_its_own_text_in_paragraphs() -> None:
    parsed = parse(b"one\r\nline\r\n\r\n  two  \n", "notes/memo.txt")
    assert (parsed.text, parsed.media_type) == ("one\r\nline\r\n\r\n  two  \n", PLAIN)
    pieces = [parsed.text[block.start : block.end] for block in parsed.blocks]
    assert pieces == ["one\r\nline", "two"]
    assert parsed.title == "memo"


MARKDOWN_SOURCE = """---
title: "휴가 규정"
tags: [a]
---
# 휴가 `A` [링크](http://example.com)

연차는 15일이다.

반차
----

- 오전
- 오후

```
# 머리말이 아니다
```

[ref]: http://example.com
"""


def test_markdown_keeps_its_source_and_finds_its_headings() -> None:
    parsed = parse(MARKDOWN_SOURCE.encode(), "a.md")
    assert (parsed.media_type, parsed.text, parsed.title) == (
        MARKDOWN,
        MARKDOWN_SOURCE,
        "휴가 규정",
    )
    assert headings(parsed) == [(1, "휴가 A 링크"), (2, "반차")]
    assert min(block.start for block in parsed.blocks) == parsed.text.index("# 휴가")
    assert "[ref]" in "".join(parsed.text[block.start : block.end] for block in parsed.blocks)


HTML_SOURCE = """<!DOCTYPE html><html><head><title>휴가 규정</title><style>p{}</style></head><body>
<nav>메뉴</nav><script>alert(1)</script><h1>휴가</h1><p>연차는 <b>15</b>일이다.<br>반차도 있다.
<ul><li>오전<li>오후</ul><div hidden>숨김</div><div style="display:none">숨김</div>
<table><tr><th>구분<th>일수<tr><td>연차<td>15</table><pre>a
  b</pre>끝</body></html>"""


def test_html_gives_the_visible_text_with_headings_lists_and_tables() -> None:
    parsed = parse(HTML_SOURCE.encode())
    assert (parsed.media_type, parsed.title) == (HTML, "휴가 규정")
    assert parsed.text == (
        "휴가\n\n연차는 15일이다.\n반차도 있다.\n\n- 오전\n\n- 오후\n\n"
        "구분: 연차 · 일수: 15\n\na\n  b\n\n끝"
    )
    assert headings(parsed) == [(1, "휴가")]


def test_the_charset_of_an_html_page_is_the_one_it_names() -> None:
    page = '<html><head><meta charset="shift_jis"></head><body>検索の説明</body></html>'
    assert parse(page.encode("shift_jis")).text == "検索の説明"


def test_a_docx_reads_with_its_headings_list_and_table() -> None:
    parsed = parse(documents.handbook(), "renamed.pdf")
    assert (parsed.media_type, parsed.title) == (DOCX, "휴가 규정")
    assert headings(parsed) == [(1, "휴가"), (2, "반차")]
    assert KOREAN in parsed.text
    assert parsed.text.endswith("구분: 연차 · 일수: 15")


def test_a_docx_reads_as_if_all_changes_were_accepted() -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = f"<w:p><w:ins>{run.format('새')}</w:ins><w:del>{run.format('옛')}</w:del></w:p>"
    box = (
        f"<w:p>{run.format('밖')}<w:txbxContent><w:p>{run.format('안')}</w:p></w:txbxContent></w:p>"
    )
    assert parse(documents.wordml(body + box)).text == "새\n\n밖\n\n안"


def test_a_pdf_reads_page_by_page() -> None:
    parsed = parse(documents.pdf([[KOREAN, "둘째 줄입니다."], [], ["Third page."]]))
    assert parsed.media_type == PDF
    texts = [parsed.text[page.start : page.end].strip() for page in parsed.places]
    assert texts == [f"{KOREAN}\n둘째 줄입니다.", "", "Third page."]
    assert [place.page for place in parsed.places] == [1, 2, 3]


def test_the_outline_of_a_pdf_tells_its_headings() -> None:
    content = documents.pdf(
        [["머리글", "제1장  휴가", KOREAN], ["제2장 급여", KOREAN]], ["제1장 휴가", "제2장 급여"]
    )
    assert headings(parse(content)) == [(1, "제1장 휴가"), (1, "제2장 급여")]


def test_pdfs_that_cannot_be_opened_without_a_password_or_read_say_why() -> None:
    assert parse(documents.pdf([["restricted"]], owner="owner")).text == "restricted"
    assert reason(documents.pdf([["secret"]], password="secret")) == reasons.ENCRYPTED
    assert reason(b"%PDF-1.7\nnothing of a PDF") == reasons.BROKEN_PDF
    assert reason(documents.pdf([["text"]])[:300]) == reasons.BROKEN_PDF
    assert reason(documents.blank_pdf(3)) == reasons.SCANNED


def test_a_zip_named_pdf_is_refused_as_a_zip() -> None:
    content = documents.archive({"a.txt": "text"})
    assert reason(content, "report.pdf", "application/pdf") == reasons.ZIP


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (documents.archive({"Contents/header.xml": "<a/>"}), reasons.BROKEN_HWPX),
        (documents.archive({"xl/workbook.xml": "<a/>"}), reasons.BROKEN_WORKBOOK),
        (documents.archive({"ppt/presentation.xml": "<a/>"}), reasons.BROKEN_PPTX),
        (documents.archive({"mimetype": "application/hwp+zip"}), reasons.BROKEN_HWPX),
        (documents.archive({"mimetype": "application/epub+zip"}), reasons.EPUB),
        (
            documents.archive({"mimetype": "application/vnd.oasis.opendocument.text"}),
            reasons.OPEN_DOCUMENT,
        ),
        (b"PK\x03\x04" + bytes(300), reasons.ZIP),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + b"HWP Document File",
            reasons.BROKEN_HWP,
        ),
        (b"HWP Document File V3.00 \x1a\1\2\3\4\5", reasons.BROKEN_HWP),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), reasons.OFFICE),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            reasons.ENCRYPTED,
        ),
        (b'<?xml version="1.0"?><HWPML Version="2.9"/>', reasons.HWPML),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), reasons.IMAGE),
        (b"\xff\xd8\xff\xe0" + bytes(90), reasons.IMAGE),
    ],
)
def test_unsupported_and_broken_formats_are_named(content: bytes, expected: str) -> None:
    assert reason(content, "renamed.txt") == expected


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (b"plain text", "application/pdf"),
        (documents.pdf([["text"]]), "text/plain"),
        (documents.handbook(), "application/pdf"),
    ],
)
def test_content_that_contradicts_its_declared_type_is_refused(
    content: bytes, declared: str
) -> None:
    assert reason(content, "", declared) == reasons.MISMATCH


def test_a_zip_that_lies_about_its_size_is_refused() -> None:
    bomb = documents.archive({"word/document.xml": b"<a>" + bytes(10_000) + b"</a>"})
    size = (10_007).to_bytes(4, "little")
    assert bomb.count(size) == 2
    assert reason(bomb.replace(size, (90).to_bytes(4, "little"))) == reasons.BROKEN_DOCX


def test_a_docx_without_a_readable_document_is_broken() -> None:
    assert reason(documents.archive({"word/document.xml": "<a>"})) == reasons.BROKEN_DOCX
    broken = bytearray(documents.handbook())
    data = broken.index(b"word/document.xml") + len(b"word/document.xml")
    broken[data + 20 : data + 60] = b"\xff" * 40
    assert reason(bytes(broken)) == reasons.BROKEN_DOCX


@given(st.text(max_size=400), st.sampled_from(["a.txt", "a.md", "a.html"]))
def test_blocks_are_in_order_and_begin_and_end_with_what_shows(text: str, filename: str) -> None:
    try:
        parsed = parse(text.encode(errors="ignore"), filename)
    except InvalidArgument:
        return
    end = 0
    for block in parsed.blocks:
        assert end <= block.start < block.end <= len(parsed.text)
        piece = parsed.text[block.start : block.end]
        assert piece == piece.strip()
        end = block.end


@pytest.mark.parametrize("kind", hostile.REFUSED)
def test_a_hostile_document_is_refused_with_what_is_wrong(kind: str) -> None:
    content, expected = hostile.REFUSED[kind]
    assert reason(content) == expected


def test_an_honest_name_of_a_part_may_have_dots() -> None:
    assert parse(hostile.leading_out("word/a..b/...x.xml")).text == KOREAN


def test_every_refusal_is_said_in_korean_too() -> None:
    said = {
        value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)
    }
    assert reasons.KOREAN.keys() == said - reasons.UNREAD.keys()
    assert all(any("가" <= char <= "힣" for char in text) for text in reasons.KOREAN.values())
    assert all(any("가" <= char <= "힣" for char in text) for _, text in reasons.UNREAD.values())


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["봉인 번호는 대장에 적는다.\r\n둘째 줄", "plain English, 12 lines", "일 2"]
)
def test_utf_16_without_a_byte_order_mark_is_read(codec: str, text: str) -> None:
    assert parse(text.encode(codec), "a.txt").text == text


def test_a_few_stray_nul_bytes_are_left_out_and_more_are_binary_data() -> None:
    assert parse("앞\0뒤 글이다.".encode(), "a.txt").text == "앞뒤 글이다."
    for content in (b"ab\0\0\0\0\0\0\0\0cd\0\0\0\0", b"\0" * 100, bytes(range(256)) * 4):
        with pytest.raises(InvalidArgument):
            parse(content, "a.txt")


def test_footers_and_side_notes_of_a_page_are_no_text_and_those_of_an_article_are() -> None:
    page = (
        "<header>상점</header><main><p>본문</p><aside>참고</aside><footer>글쓴이</footer></main>"
        "<aside>특가</aside><div role=contentinfo>등록번호</div><footer>주소</footer>"
    )
    assert parse(page.encode(), "a.html").text.split("\n\n") == ["상점", "본문", "참고", "글쓴이"]
    assert parse(b"<body><footer>address</footer></body>", "a.html").text == "address"


def test_comments_in_markdown_are_no_text_and_code_may_quote_them() -> None:
    source = (
        "# 제목 <!-- 감춤 -->\n\n앞 <!-- 감춤\n둘째 줄 --> 뒤\n\n<!-- 감춤 -->\n\n"
        "`<!-- 보임 -->` 글\n\n```\n<!-- 보임 -->\n```\n\n끝 <!-- 감춤, 열린 채"
    )
    parsed = parse(source.encode(), "a.md")
    blocks = [parsed.text[block.start : block.end] for block in parsed.blocks]
    assert blocks[1:3] == ["앞", "뒤"]
    assert not [text for text in blocks[1:] if "감춤" in text]
    assert sum("보임" in text for text in blocks) == 2
    assert parsed.blocks[0].heading == "제목"


def test_a_pdf_whose_fonts_do_not_say_their_characters_is_refused() -> None:
    content = (
        "BT /F1 12 Tf 50 700 Td <" + "".join(f"{code:04x}" for code in range(1, 60)) + "> Tj ET"
    )
    identity = "/CIDSystemInfo <</Registry (Adobe) /Ordering (Identity) /Supplement 0>>"
    objects = [
        "<</Type /Catalog /Pages 2 0 R>>",
        "<</Type /Pages /Kids [3 0 R] /Count 1>>",
        "<</Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R"
        " /Resources <</Font <</F1 5 0 R>>>>>>",
        f"<</Length {len(content)}>>\nstream\n{content}\nendstream",
        "<</Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [6 0 R]>>",
        f"<</Type /Font /Subtype /CIDFontType2 /BaseFont /X {identity} /FontDescriptor 7 0 R>>",
        "<</Type /FontDescriptor /FontName /X /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0"
        " /Ascent 800 /Descent 0 /CapHeight 700 /StemV 80>>",
    ]
    body = "".join(f"{at} 0 obj\n{text}\nendobj\n" for at, text in enumerate(objects, 1))
    file = f"%PDF-1.7\n{body}trailer\n<</Root 1 0 R /Size 8>>\n%%EOF\n".encode()
    assert reason(file) == reasons.UNREADABLE_FONT
