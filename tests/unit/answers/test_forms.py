"""What is quoted from text in the forms that people write: FAQs, labels, fields, lists, tables, wraps."""

import io
import textwrap

import docx
import pytest
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # type: ignore[import-untyped]
from reportlab.platypus import SimpleDocTemplate, Table  # type: ignore[import-untyped]

from rag_generator.answering.extractive_answering import ExtractiveAnswering
from rag_generator.answering.service import Answer, Task
from rag_generator.evidence.selection import Extract, answer
from rag_generator.evidence.sentences import Passage
from tests.support.answers.chain import entries
from tests.support.ingestor.documents import FONT, pdf


def ask(question: str, text: str, name: str = "a.txt") -> Extract:
    """The answer from the document's chunks, with the belief of a passage that was found."""
    return ask_file(question, text.encode(), name)


def ask_file(question: str, content: bytes, name: str) -> Extract:
    chunks = entries(name, content)
    inputs = [Passage(one.id, one.text, "", 0.6, one.headings) for one in chunks]
    texts = {passage.id: passage.text for passage in inputs}
    result = answer(question, inputs)
    for quote in result.quotes:
        assert texts[quote.passage_id][quote.start : quote.end] == quote.text
    return result


def shown(found: Extract) -> list[str]:
    return [" ".join(quote.text.split()) for quote in found.quotes]


PARKING, HEATING = "주차 요금은 얼마인가요?", "주말에도 난방이 되나요?"
FAQS = {
    "Q. and A.": f"Q. {PARKING}\nA. 하루에 만 원입니다.\n\nQ. {HEATING}\nA. 신청한 층만 됩니다.",
    "without blank lines": f"Q. {PARKING}\nA. 하루에 만 원입니다.\nQ. {HEATING}\nA. 신청한 층만 됩니다.",
    "colons": f"Q: {PARKING}\nA: 하루에 만 원입니다.\n\nQ: {HEATING}\nA: 신청한 층만 됩니다.",
    "numbered": f"Q1. {PARKING}\nA1. 하루에 만 원입니다.\n\nQ2. {HEATING}\nA2. 신청한 층만 됩니다.",
    "Korean words": f"질문: {PARKING}\n답변: 하루에 만 원입니다.\n\n질문: {HEATING}\n답변: 신청한 층만 됩니다.",
    "short Korean words": f"문) {PARKING}\n답) 하루에 만 원입니다.\n문) {HEATING}\n답) 신청한 층만 됩니다.",
    "brackets": f"[질문] {PARKING}\n[답변] 하루에 만 원입니다.\n\n[질문] {HEATING}\n[답변] 신청한 층만 됩니다.",
    "lines": f"{PARKING}\n하루에 만 원입니다.\n\n{HEATING}\n신청한 층만 됩니다.",
    "one line": f"{PARKING} 하루에 만 원입니다.\n{HEATING} 신청한 층만 됩니다.",
    "arrow": f"{PARKING}\n→ 하루에 만 원입니다.\n\n{HEATING}\n→ 신청한 층만 됩니다.",
}


@pytest.mark.parametrize("text", FAQS.values(), ids=FAQS)
def test_of_an_faq_the_answer_is_quoted_and_nothing_else(text: str) -> None:
    assert shown(ask(PARKING, text)) == ["하루에 만 원입니다."]
    assert shown(ask(HEATING, text)) == ["신청한 층만 됩니다."]
    assert ask(PARKING, text).answered


@pytest.mark.parametrize(
    "text",
    [
        "## Where can I park?\n\nBehind the mill.\n\n## When does the gate close?\n\nAt nine.",
        "**Where can I park?**\nBehind the mill.\n\n**When does the gate close?**\nAt nine.",
        "- Q: Where can I park?\n- A: Behind the mill.\n- Q: When does the gate close?\n- A: At nine.",
        "Question: Where can I park?\nAnswer: Behind the mill.\n\nQuestion: When does the gate close?\n"
        "Answer: At nine.",
    ],
    ids=["headings", "bold", "list", "words"],
)
def test_of_an_faq_in_markdown_the_answer_is_quoted(text: str) -> None:
    assert shown(ask("Where can I park?", text, "a.md")) == ["Behind the mill."]
    assert shown(ask("When does the gate close?", text, "a.md")) == ["At nine."]


def test_an_answer_of_several_sentences_is_quoted_whole() -> None:
    text = (
        "Q. 환불이 되나요?\nA. 네, 됩니다. 14일 안에 신청하십시오.\n\nQ. 교환은요?\nA. 안 됩니다."
    )
    assert shown(ask("환불이 되나요?", text)) == ["네, 됩니다. 14일 안에 신청하십시오."]


@pytest.mark.parametrize(
    ("text", "question", "value"),
    [
        ("문의처\n내선 3300", "문의처는 어디인가요?", "내선 3300"),
        (
            "보관 장소\n별관 2층 자료실\n\n담당\n김하늘",
            "보관 장소는 어디인가요?",
            "별관 2층 자료실",
        ),
        ("비상 연락망\n\n당직실\n내선 7700", "당직실 연락처는?", "내선 7700"),
        (
            "Lost property\nreception, extension 12",
            "Where is lost property?",
            "reception, extension 12",
        ),
    ],
)
def test_a_label_is_not_the_answer_but_its_value(text: str, question: str, value: str) -> None:
    result = ask(question, text)
    assert shown(result) == [value]
    assert result.answered


GYM = "구분: 사내 헬스장\n위치: 지하 1층\n담당자: 총무팀"
POOL = "구분: 수영장\n위치: 옥상 3층\n담당자: 복지팀"


@pytest.mark.parametrize("text", [GYM, f"{GYM}\n\n{POOL}", f"{POOL}\n\n{GYM}"])
def test_of_a_block_of_fields_the_line_that_answers_comes_with_what_it_belongs_to(
    text: str,
) -> None:
    assert shown(ask("헬스장은 몇 층에 있나요?", text)) == ["위치: 지하 1층", "구분: 사내 헬스장"]
    assert shown(ask("헬스장 담당자는 누구인가요?", text))[0] == "담당자: 총무팀"


LISTS = {
    "numbers": "다음 서류를 낸다.\n1. 신청서\n2. 신분증 사본",
    "dashes and a blank line": "다음 서류를 낸다.\n\n- 신청서\n- 신분증 사본",
    "letters": "제출할 서류는 두 가지이다.\n가. 신청서\n나. 신분증 사본",
    "circled": "아래의 서류를 내야 한다.\n① 신청서\n② 신분증 사본",
    "colon": "낼 서류:\n• 신청서\n• 신분증 사본",
    "heading": "## 낼 서류\n\n* 신청서\n* 신분증 사본",
    "label": "낼 서류\n1) 신청서\n2) 신분증 사본",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_what_leads_to_a_list_brings_the_list(text: str) -> None:
    result = ask("어떤 서류를 내야 하나요?", text, "a.md")
    assert "신청서" in shown(result)[0]
    assert "신분증 사본" in shown(result)[0]
    assert result.answered


def test_one_item_is_quoted_alone_if_the_question_is_about_it() -> None:
    text = "다음 날에 연다.\n- 도서관: 화요일\n- 수영장: 목요일\n- 강당: 금요일"
    assert shown(ask("수영장은 언제 여나요?", text))[0] == "- 수영장: 목요일"


ROWS = [["시약", "보관 위치", "유효기한"]] + [
    [f"R-{number:03}", f"{number % 7 + 1}번 선반", f"20{number % 50 + 30}-0{number % 9 + 1}-15"]
    for number in range(120)
]


def _markdown(rows: list[list[str]]) -> bytes:
    lines = [" | ".join(row) for row in rows]
    return "\n".join(f"| {line} |" for line in [lines[0], "---|---|---", *lines[1:]]).encode()


def _csv(rows: list[list[str]]) -> bytes:
    return "\n".join(",".join(row) for row in rows).encode()


def _html(rows: list[list[str]]) -> bytes:
    head, *rest = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in rest)
    return f"<html><body><table><tr>{head.replace('td>', 'th>')}</tr>{body}</table>".encode()


def _docx(rows: list[list[str]]) -> bytes:
    document = docx.Document()
    table = document.add_table(len(rows), len(rows[0]))
    for at, row in enumerate(rows):
        for cell, text in zip(table.rows[at].cells, row, strict=True):
            cell.text = text
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def _pdf(rows: list[list[str]]) -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    target = io.BytesIO()
    style = [("FONT", (0, 0), (-1, -1), FONT, 10)]
    SimpleDocTemplate(target).build([Table(rows, style=style)])
    return target.getvalue()


TABLES = {
    "a.md": _markdown,
    "a.csv": _csv,
    "a.tsv": lambda rows: "\n".join("\t".join(row) for row in rows).encode(),
    "a.txt": lambda rows: _csv(rows).replace(b",", b", "),
    "a.html": _html,
    "a.docx": _docx,
    "a.pdf": _pdf,
}


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_a_long_table_names_its_columns(name: str) -> None:
    content = TABLES[name](ROWS)
    chunks = entries(name, content)
    assert len(chunks) > 3
    for number in (2, 61, 119):
        code, place, date = ROWS[number + 1]
        result = ask_file(f"{code}의 유효기한은 언제인가요?", content, name)
        assert shown(result) == [f"시약: {code} · 보관 위치: {place} · 유효기한: {date}"]
        assert result.answered
    assert not ask_file("R-777의 유효기한은 언제인가요?", content, name).answered


@pytest.mark.parametrize("name", TABLES)
def test_the_head_of_a_table_is_never_the_answer(name: str) -> None:
    rows = [
        ["Region", "Hotel cap", "Meals"],
        ["Europe", "190 euros", "45 euros"],
        ["Asia", "160 dollars", "50 dollars"],
    ]
    result = ask_file("What is the hotel cap in Europe?", TABLES[name](rows), name)
    assert shown(result) == ["Region: Europe · Hotel cap: 190 euros · Meals: 45 euros"]
    assert result.answered


async def test_a_raw_row_of_a_callers_passage_is_shown_with_its_columns() -> None:
    text = "## Rates\n\n| Region | Hotel cap |\n|:--|--:|\n| Europe | 190 euros |\n| Asia | 160 dollars |"
    task = Task("What is the hotel cap in Asia?", [Passage("a", text, "", 0.8)])
    whole = [event async for event in ExtractiveAnswering().answer(task)][-1]
    assert isinstance(whole, Answer)
    assert whole.text == "Region: Asia · Hotel cap: 160 dollars [1]"
    [citation] = whole.citations
    assert text[citation.quote_start : citation.quote_end] == citation.quote
    assert citation.quote == "| Asia | 160 dollars |"
    assert whole.text[citation.start : citation.end] == "Region: Asia · Hotel cap: 160 dollars"


KOREAN = "재택근무를 신청하려는 직원은 시작일 닷새 전까지 부서장에게 신청서를 제출하고 승인을 받아야 한다."
BEFORE = "근무 장소는 집으로 정한다."
ENGLISH = "Employees who wish to work from home must file the request with their manager five days before."


@pytest.mark.parametrize("width", range(12, 29))
@pytest.mark.parametrize("before", ["", f"{BEFORE} "], ids=["alone", "behind another"])
def test_a_korean_sentence_wrapped_at_any_width_is_one(width: int, before: str) -> None:
    text = "\n".join(textwrap.wrap(before + KOREAN, width, break_long_words=False))
    result = ask("재택근무 신청서는 언제까지 내야 하나요?", text)
    assert shown(result)[0] == KOREAN


@pytest.mark.parametrize("width", [12, 17, 22, 28])
def test_a_sentence_wrapped_in_a_pdf_is_one(width: int) -> None:
    lines = textwrap.wrap(f"{BEFORE} {KOREAN}", width, break_long_words=False)
    result = ask_file("재택근무 신청서는 언제까지 내야 하나요?", pdf([lines]), "a.pdf")
    assert shown(result)[0] == KOREAN


@pytest.mark.parametrize("width", range(24, 41))
@pytest.mark.parametrize("before", ["", "The office is open. "], ids=["alone", "behind another"])
def test_an_english_sentence_wrapped_at_any_width_is_one(width: int, before: str) -> None:
    text = "\n".join(textwrap.wrap(before + ENGLISH, width))
    result = ask("How many days before must I file the request to work from home?", text)
    assert shown(result)[0] == ENGLISH


CODES = "\n\n".join(
    f"품목 {code}의 안내이다. 보관 온도는 {place + 2}도이다. 창고 {place}번 칸에 둔다."
    for place, code in enumerate(
        ["ABX-1204", "ABX-1240", "ABX-12040", "ABX1240", "ABX-1240-R2", "AXB-1240", "QT/55-K"], 1
    )
)


@pytest.mark.parametrize(
    ("code", "place"), [("ABX-1240", 2), ("ABX-12040", 3), ("ABX1240", 4), ("QT/55-K", 7)]
)
def test_the_exact_identifier_is_answered(code: str, place: int) -> None:
    result = ask(f"{code} 품목은 창고 몇 번 칸에 있나요?", CODES)
    assert shown(result)[0] == f"창고 {place}번 칸에 둔다."
    assert result.answered


@pytest.mark.parametrize(
    "date", ["2026-03-05", "2026.3.5", "2026/03/05", "2026년 3월 5일", "2026. 3. 5."]
)
def test_a_date_is_met_in_every_notation(date: str) -> None:
    text = (
        "2026년 3월 15일에 감사를 한다.\n\n2026년 3월 5일에 소방 훈련을 한다.\n\n"
        "2027년 3월 5일에 이사를 한다.\n\n2026년 5월 3일에 소풍을 간다."
    )
    assert shown(ask(f"{date}에는 무엇을 하나요?", text)) == ["2026년 3월 5일에 소방 훈련을 한다."]
