"""DOCX as Word shows it: numbers of lists and articles, notes, headers and footers, the title."""

import pytest

from rag_ingestor.parsing.docx_numbering import number_text
from rag_ingestor.parsing.parse import parse
from rag_ingestor.parsing.parsed import Kind, Parsed
from tests.support.ingestor.documents import W, archive

LEGAL = """
<w:abstractNum w:abstractNumId="1">
  <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="제%1조"/></w:lvl>
  <w:lvl w:ilvl="1"><w:numFmt w:val="decimalEnclosedCircle"/><w:lvlText w:val="%2"/></w:lvl>
  <w:lvl w:ilvl="2"><w:numFmt w:val="ganada"/><w:lvlText w:val="%3."/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="2">
  <w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
  <w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/><w:suff w:val="space"/></w:lvl>
  <w:lvl w:ilvl="2"><w:numFmt w:val="lowerRoman"/><w:lvlText w:val="(%3)"/><w:suff w:val="nothing"/></w:lvl>
  <w:lvl w:ilvl="3"><w:numFmt w:val="decimal"/><w:lvlText w:val="%4)"/><w:lvlRestart w:val="0"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="3">
  <w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="&#xF0B7;"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="4">
  <w:lvl w:ilvl="0"><w:numFmt w:val="upperRoman"/><w:pStyle w:val="h1"/><w:lvlText w:val="%1."/></w:lvl>
  <w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/><w:pStyle w:val="h2"/>
    <w:lvlText w:val="%1-%2"/><w:isLgl/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="5"><w:numStyleLink w:val="list"/></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="2"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="3"/></w:num>
<w:num w:numId="4"><w:abstractNumId w:val="4"/></w:num>
<w:num w:numId="5"><w:abstractNumId w:val="5"/></w:num>
<w:num w:numId="6"><w:abstractNumId w:val="2"/>
  <w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>
"""
STYLES = """
<w:style w:styleId="t"><w:name w:val="Title"/></w:style>
<w:style w:styleId="h1"><w:name w:val="heading 1"/>
  <w:pPr><w:numPr><w:numId w:val="4"/></w:numPr></w:pPr></w:style>
<w:style w:styleId="h2"><w:name w:val="heading 2"/><w:basedOn w:val="h1"/></w:style>
<w:style w:styleId="item"><w:name w:val="Item"/>
  <w:pPr><w:numPr><w:numId w:val="2"/></w:numPr></w:pPr></w:style>
<w:style w:styleId="sub"><w:name w:val="Sub"/><w:basedOn w:val="item"/></w:style>
<w:style w:styleId="list"><w:name w:val="List"/>
  <w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
"""


def part(root: str, body: str) -> str:
    return f'<w:{root} xmlns:w="{W}">{body}</w:{root}>'


def read(body: str, **parts: str) -> Parsed:
    members = {
        "word/document.xml": part("document", f"<w:body>{body}</w:body>"),
        "word/numbering.xml": part("numbering", LEGAL),
        "word/styles.xml": part("styles", STYLES),
        **{f"word/{name}.xml": text for name, text in parts.items()},
    }
    return parse(archive(members), "a.docx")


def p(text: str, number: str = "", level: str = "", style: str = "", inside: str = "") -> str:
    at = f'<w:ilvl w:val="{level}"/>' if level else ""
    item = f'<w:numPr>{at}<w:numId w:val="{number}"/></w:numPr>' if number else ""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{item}</w:pPr><w:r><w:t>{text}</w:t></w:r>{inside}</w:p>"


def lines(body: str) -> list[str]:
    return read(body).text.split("\n\n")


def test_articles_have_the_numbers_that_word_shows() -> None:
    body = p("(목적)", "1") + p("갑", "1", "1") + p("을", "1", "1") + p("작은", "1", "2")
    assert lines(body + p("(적용)", "1", "0") + p("병", "1", "1")) == [
        "제1조 (목적)", "① 갑", "② 을", "가. 작은", "제2조 (적용)", "① 병",
    ]  # fmt: skip


def test_levels_below_start_again_unless_they_go_on() -> None:
    body = "".join(
        p(text, "2", level)
        for text, level in (
            ("a", "0"), ("b", "1"), ("c", "2"), ("d", "3"), ("e", "0"), ("f", "1"), ("g", "2"), ("h", "3"),
        )
    )  # fmt: skip
    assert lines(body) == ["1. a", "1.1 b", "(i)c", "1) d", "2. e", "2.1 f", "(i)g", "2) h"]


def test_a_list_goes_on_after_other_text_and_another_one_starts_anew() -> None:
    body = p("a", "2") + p("between") + p("b", "2") + p("c", "6") + p("d", "6")
    assert lines(body) == ["1. a", "between", "2. b", "1. c", "2. d"]


def test_an_empty_numbered_paragraph_counts() -> None:
    assert lines(p("a", "2") + p("", "2") + p("c", "2")) == ["1. a", "3. c"]


def test_a_skipped_level_shows_its_first_number() -> None:
    assert lines(p("a", "2", "1")) == ["1.1 a"]


def test_bullets_and_lists_without_a_definition_stay_lists() -> None:
    assert lines(p("a", "3") + p("b", "99") + p("c", "0")) == ["- a", "- b", "c"]


def test_a_style_has_its_numbers_and_a_paragraph_may_have_none() -> None:
    body = p("a", style="item") + p("b", style="sub") + p("c", "0", style="item")
    assert lines(body) == ["1. a", "2. b", "c"]
    assert lines(p("a", "5")) == ["제1조 a"]


def test_headings_have_their_numbers_by_their_styles() -> None:
    parsed = read(p("개요", style="h1") + p("범위", style="h2") + p("본문"))
    headings = [(block.level, block.heading) for block in parsed.blocks if block.level]
    assert headings == [(1, "I. 개요"), (2, "1-1 범위")]


def test_cells_of_a_table_are_counted_too() -> None:
    cells = "".join(f"<w:tr><w:tc>{p(text, '2')}</w:tc></w:tr>" for text in ("a", "b"))
    assert lines(f"<w:tbl>{cells}</w:tbl>" + p("c", "2")) == ["1. a\n2. b", "3. c"]


def test_a_note_stands_after_its_paragraph_once() -> None:
    reference = '<w:r><w:footnoteReference w:id="2"/></w:r>'
    notes = part(
        "footnotes",
        '<w:footnote w:id="-1" w:type="separator"><w:p/></w:footnote>'
        f'<w:footnote w:id="2">{p("각주 내용")}{p("둘째 줄")}</w:footnote>'
        f'<w:footnote w:id="3">{p("아무도 부르지 않는 주")}</w:footnote>',
    )
    ends = part("endnotes", f'<w:endnote w:id="2">{p("미주 내용")}</w:endnote>')
    cell = p("칸", inside='<w:r><w:endnoteReference w:id="2"/></w:r>')
    body = p("본문", inside=reference) + p("다음", inside=reference)
    text = read(
        f"{body}<w:tbl><w:tr><w:tc>{cell}</w:tc></w:tr></w:tbl>", footnotes=notes, endnotes=ends
    ).text
    assert text.split("\n\n") == ["본문", "각주 내용\n둘째 줄", "다음", "칸", "미주 내용"]


def test_headers_and_footers_stand_before_the_text_once_and_page_numbers_nowhere() -> None:
    field = '<w:r><w:instrText xml:space="preserve"> PAGE </w:instrText></w:r>'
    simple = f'<w:fldSimple w:instr="NUMPAGES">{p("9")}</w:fldSimple>'
    parts = {
        "header1": part("hdr", p("문서번호 HR-2231") + p("쪽", inside=field)),
        "header2": part("hdr", p("문서번호 HR-2231")),
        "footer1": part("ftr", p("시행일 2026-04-15") + p("- 3 -") + p("", inside=simple)),
    }
    assert read(p("본문"), **parts).text.split("\n\n") == [
        "문서번호 HR-2231", "시행일 2026-04-15", "본문",
    ]  # fmt: skip


def test_words_title_is_the_title() -> None:
    parsed = read(p("여비 규정", style="t") + p("총칙", style="h1") + p("본문"))
    assert parsed.title == "여비 규정"
    assert (parsed.blocks[0].kind, parsed.blocks[0].heading) == (Kind.HEADING, "여비 규정")


def test_a_numbering_that_is_broken_costs_no_text() -> None:
    broken = part("numbering", '<w:num w:numId="2"><w:abstractNumId w:val="9"/></w:num>')
    members = {
        "word/document.xml": part("document", f"<w:body>{p('글', '2')}</w:body>"),
        "word/numbering.xml": broken,
    }
    assert parse(archive(members), "a.docx").text == "- 글"


@pytest.mark.parametrize(
    ("format", "value", "text"),
    [
        ("ganada", 14, "하"),
        ("ganada", 15, "가가"),
        ("chosung", 2, "ㄴ"),
        ("decimalEnclosedCircle", 20, "⑳"),
        ("decimalEnclosedCircle", 21, "㉑"),
        ("decimalEnclosedCircle", 50, "㊿"),
        ("decimalEnclosedCircle", 51, "51"),
        ("decimalEnclosedParen", 3, "⑶"),
        ("upperRoman", 1994, "MCMXCIV"),
        ("lowerLetter", 28, "bb"),
        ("koreanDigital", 20, "이영"),
        ("koreanCounting", 10, "십"),
        ("koreanCounting", 121, "백이십일"),
        ("koreanLegal", 21, "스물하나"),
        ("chineseCounting", 12, "十二"),
        ("ideographTraditional", 3, "丙"),
        ("decimalZero", 7, "07"),
        ("ordinal", 11, "11th"),
        ("ordinal", 22, "22nd"),
        ("none", 3, ""),
        ("something new", 3, "3"),
    ],
)
def test_a_number_in_its_format(format: str, value: int, text: str) -> None:
    assert number_text(value, format) == text
