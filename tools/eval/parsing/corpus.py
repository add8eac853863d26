"""The files: each made here or by an editor, of a kind that offices have, with the facts that it holds."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import docx
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]
from tests.support.ingestor import documents, office
from tests.support.ingestor.documents import FONT, wordml

from rag_ingestor.parsing import reasons
from tools.eval.parsing.facts import (
    Fact,
    attached,
    has,
    heading,
    lacks,
    once,
    order,
    page,
    row,
    rows,
    unread,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A file with its facts; `kind` is the format in the report."""

    kind: str
    name: str
    content: bytes
    facts: Sequence[Fact]


STAFF = [["이름", "부서", "내선"], ["김하늘", "총무팀", "3300"], ["박바다", "인사팀", "3310"]]
STEPS = ["직급", "비수기", "성수기"]
COSTS = [["Region", "Cap", "Meals"], ["Europe", "190", "45"], ["Asia", "160", "50"]]


def samples() -> list[Sample]:
    """All files."""
    makers = (_texts, _markdown, _html, _pdf, _docx, _hwp, _slides, _workbooks, _csv, _rtf, _mail)
    return [sample for maker in makers for sample in maker()]


def _texts() -> Iterator[Sample]:
    lines = (
        "재택근무를 신청하려는 직원은 시작일",
        "닷새 전까지 부서장에게",
        "신청서를 제출하고 승인을 받아야",
        "한다.",
    )
    wrapped = "\n".join(lines)
    whole = "시작일 닷새 전까지 부서장에게 신청서를 제출하고"
    yield Sample("text", "wrapped.txt", wrapped.encode(), [has(whole)])
    for name, codec in (("cp949", "cp949"), ("utf-16", "utf-16"), ("utf-16-no-mark", "utf-16-le")):
        yield Sample("text", f"{name}.txt", wrapped.encode(codec), [has(whole)])
    listed = (
        "Documents to bring:\n1. The form\n2. A copy of the passport\n\nThe desk opens at nine."
    )
    facts = [order("The form", "A copy of the passport", "opens at nine")]
    yield Sample("text", "list.txt", listed.encode(), facts)


def _markdown() -> Iterator[Sample]:
    long = "| 번호 | 유효기한 |\n|---|---|\n" + "".join(
        f"| R-{at:03} | 2026-{at % 12 + 1:02}-15 |\n" for at in range(200)
    )
    facts = [row("번호: R-097", "유효기한: 2026-02-15"), row("번호: R-199", "유효기한: 2026-08-15")]
    yield Sample("Markdown", "table.md", long.encode(), facts)
    text = (
        "---\ntitle: 규정\n---\n# 휴가\n\n<!-- 숨은 말 -->\n연차는 **15일**이다.\n\n"
        "## 반차\n\n- 오전\n  - 오후\n"
    )
    facts = [heading("휴가"), heading("반차"), lacks("숨은 말"), order("15일", "오전", "오후")]
    yield Sample("Markdown", "rules.md", text.encode(), facts)
    english = "# Travel\n\nUse `rag ask` first.\n\n> Quoted rule.\n\n```\ncode stays\n```\n"
    facts = [heading("Travel"), has("rag ask"), has("Quoted rule."), has("code stays")]
    yield Sample("Markdown", "travel.md", english.encode(), facts)


def _html() -> Iterator[Sample]:
    cells = "<tr><td rowspan=2>총무팀</td><td>비품</td><td>40</td></tr><tr><td>임차료</td><td>70</td></tr>"
    table = f"<table><tr><th>부서</th><th>항목</th><th>금액</th></tr>{cells}</table>"
    body = (
        "<html><head><title>예산</title><script>var x</script></head><body><nav>메뉴</nav><h1>예산</h1>"
        f"{table}<p hidden>숨김</p><footer>저작권</footer></body></html>"
    )
    facts = [
        heading("예산"), row("부서: 총무팀", "항목: 임차료", "금액: 70"), lacks("메뉴"),
        lacks("저작권"), lacks("var x"), lacks("숨김"),
    ]  # fmt: skip
    yield Sample("HTML", "budget.html", body.encode(), facts)
    listed = "<html><body><h2>Visits</h2><ul><li>Sign in</li><li>Wear a badge</li></ul><dl><dt>Desk<dd>B1</dl>"
    facts = [heading("Visits"), order("Sign in", "Wear a badge", "Desk", "B1")]
    yield Sample("HTML", "visits.htm", listed.encode(), facts)
    korean = (
        "<html><head><meta charset=euc-kr></head><body><p>창고는 지하에 있다.</p></body></html>"
    )
    yield Sample("HTML", "euc-kr.html", korean.encode("cp949"), [has("창고는 지하에 있다.")])


def _drawn(draw: Callable[[Canvas], None]) -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    draw(canvas)
    canvas.save()
    return target.getvalue()


def _lines(canvas: Canvas, x: float, y: float, lines: Sequence[str], font: str = FONT) -> None:
    canvas.setFont(font, 10)
    for at, line in enumerate(lines):
        canvas.drawString(x, y - 15 * at, line)


def _pdf() -> Iterator[Sample]:
    left = [f"왼쪽 단의 {at}번째 줄에는 보안 수칙을 적는다." for at in range(1, 9)]
    right = [f"오른쪽 단의 {at}번째 줄에는 주차 수칙을 적는다." for at in range(1, 9)]

    def columns(canvas: Canvas) -> None:
        _lines(canvas, 50, 700, left)
        _lines(canvas, 320, 700, right)

    facts = [order(left[0], left[7], right[0], right[7])]
    yield Sample("PDF", "columns.pdf", _drawn(columns), facts)

    def headed(canvas: Canvas) -> None:
        texts = [
            ["제1조 기록은 남긴다.", "또 적는다.", "부양가족이 있는 직원에게는 매월"],
            ["가족수당 8만 원을 지급한다.", "이어서 적는다.", "제2조 그 밖의 것은 따로 정한다."],
            ["제3조 이 규정은 공포한 날부터 시행한다.", "마지막 줄이다.", "그리고 마친다."],
        ]
        for number, lines in enumerate(texts, 1):
            _lines(canvas, 60, 800, ["인사규정 2026년 개정판"])
            _lines(canvas, 60, 700, lines)
            _lines(canvas, 280, 40, [f"- {number} -"])
            canvas.showPage()

    facts = [
        has("부양가족이 있는 직원에게는 매월 가족수당 8만 원을 지급한다."),
        lacks("- 2 -"), page(3, "제3조"), page(1, "제1조"),
    ]  # fmt: skip
    yield Sample("PDF", "headers.pdf", _drawn(headed), facts)

    def table(canvas: Canvas) -> None:
        _lines(canvas, 60, 760, ["숙박비 한도는 아래와 같다."])
        rows = [
            STEPS,
            ["사원", "80,000", "95,000"],
            ["과장", "110,000", "145,000"],
            ["부장", "130,000", "160,000"],
        ]
        for at, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                _lines(canvas, 60 + 150 * column, 720 - 20 * at, [cell])

    yield Sample(
        "PDF", "table.pdf", _drawn(table), [row("과장", "110,000", "145,000"), has("한도는")]
    )

    def hyphenated(canvas: Canvas) -> None:
        _lines(
            canvas,
            60,
            700,
            ["Employees who travel need an authori-", "sation before they leave."],
            "Helvetica",
        )

    facts = [has("before they leave")]
    yield Sample("PDF", "english.pdf", _drawn(hyphenated), facts)
    outlined = documents.pdf(
        [["제1장 휴가", "연차는 15일이다."], ["제2장 급여"]], ["제1장 휴가", "제2장 급여"]
    )
    facts = [heading("제1장 휴가"), heading("제2장 급여"), page(1, "연차는")]
    yield Sample("PDF", "outline.pdf", outlined, facts)

    def scanned(canvas: Canvas) -> None:
        _lines(canvas, 60, 700, ["첫 쪽의 글에는 사택을 배정하는 순서와 방법을 자세히 적는다."])
        canvas.showPage()
        canvas.rect(100, 100, 300, 300, fill=1)
        canvas.showPage()
        _lines(canvas, 60, 700, ["셋째 쪽의 글에는 퇴거를 한 달 전에 알린다고 적는다."])
        canvas.showPage()

    facts = [has("첫 쪽의 글에는"), page(3, "셋째"), unread(reasons.PAGE_WITHOUT_TEXT, 2)]
    yield Sample("PDF", "scanned-page.pdf", _drawn(scanned), facts)


def _docx() -> Iterator[Sample]:
    facts = [heading("휴가"), heading("반차"), row("연차", "15"), has("오전과 오후로 나눈다.")]
    yield Sample("DOCX", "handbook.docx", documents.handbook(), facts)
    merged = docx.Document()
    table = merged.add_table(4, 3)
    values = [
        "직급",
        "숙박비",
        "숙박비",
        "",
        "비수기",
        "성수기",
        "사원",
        "80",
        "95",
        "과장",
        "110",
        "145",
    ]
    for at, word in enumerate(values):
        table.cell(at // 3, at % 3).text = word
    yield Sample("DOCX", "table.docx", _saved(merged), [row("과장", "비수기: 110", "성수기: 145")])
    titled = docx.Document()
    titled.add_heading("Travel policy", 0)
    titled.add_heading("Flights", 1)
    titled.add_paragraph("Book early.", style="List Number")
    titled.add_paragraph("Fly economy.", style="List Number")
    titled.sections[0].header.paragraphs[0].text = "Internal"
    facts = [
        heading("Travel policy"),
        heading("Flights"),
        order("Book early.", "Fly economy."),
        once("Internal"),
    ]
    yield Sample("DOCX", "policy.docx", _saved(titled), facts)
    run = "<w:r><w:t>{}</w:t></w:r>"
    new, old = run.format("새 기한은 닷새다."), run.format("옛 기한")
    changed = f"<w:p><w:ins>{new}</w:ins><w:del>{old}</w:del></w:p>"
    facts = [has("새 기한은 닷새다."), lacks("옛 기한")]
    yield Sample("DOCX", "changes.docx", wordml(changed), facts)
    box = f"<w:p>{run.format('밖')}<w:txbxContent><w:p>{run.format('글상자의 글')}</w:p></w:txbxContent></w:p>"
    yield Sample("DOCX", "box.docx", wordml(box), [has("밖"), has("글상자의 글")])


def _saved(document: "docx.document.Document") -> bytes:
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def _hwp() -> Iterator[Sample]:
    facts = {
        "rules": [
            heading("제1장 총칙"), row("직급: 과장", "비수기: 110,000", "성수기: 145,000"),
            row("직급: 부장", "비수기: 110,000", "성수기: 160,000"), has("해외 출장은 따로 정한다."),
            once("총무팀 문서"), order("제1조", "제2조", "145,000", "제3조"), has("①㎡"),
        ],
        "library": [
            row("요일: 토요일", "여는 때: 10:00", "닫는 때: 13:00"), order("다섯 권", "평일", "늦게"),
        ],
        "parking": [order("two hours", "2,000 won", "every March"), has("Electric cars pay half.")],
        "supplies": [row("구분: 토너", "지난달: 3", "이번 달: 2"), order("복사지", "총무팀에 낸다")],
    }  # fmt: skip
    for name, stated in facts.items():
        yield Sample("HWP", f"{name}.hwp", office.made(f"{name}.hwp"), stated)
        yield Sample("HWPX", f"{name}.hwpx", office.made(f"{name}.hwpx"), stated)


def _slides() -> Iterator[Sample]:
    slides = [("휴가 제도", "연차는 15일이다.\n이월은 5일까지다."), ("", ""), ("연락처", "묻는 곳")]
    content = office.presentation(slides, notes="발표할 때 강조한다.", table=STAFF)
    facts = [
        heading("휴가 제도"), order("연차는", "이월은", "묻는 곳"), page(1, "이월은"),
        row("이름: 박바다", "부서: 인사팀", "내선: 3310"), has("발표할 때 강조한다."), page(3, "묻는 곳"),
        unread(reasons.SLIDE_WITHOUT_TEXT, 2),
    ]  # fmt: skip
    yield Sample("PPTX", "leave.pptx", content, facts)
    english = office.presentation([("Travel", "Book early."), ("Costs", "See below.")], table=COSTS)
    facts = [heading("Costs"), row("Region: Asia", "Cap: 160", "Meals: 50"), page(2, "See below.")]
    yield Sample("PPTX", "travel.pptx", english, facts)


def _workbooks() -> Iterator[Sample]:
    budget: office.Rows = [
        ["2026년 부서 예산", None, None], [None], ["부서", "항목", "금액"],
        ["총무팀", "비품", 1450000], ["총무팀", "임차료", 2.5], [None], ["개발팀", "서버", 120000],
    ]  # fmt: skip
    merged = [(0, 0, 0, 2), (3, 0, 4, 0)]
    content = office.xlsx({"예산": budget, "인원": STAFF}, merged)
    facts = [
        heading("예산"), heading("인원"), row("부서: 총무팀", "항목: 임차료", "금액: 2.5"),
        row("부서: 개발팀", "항목: 서버", "금액: 120000"), rows("예산", 5, "임차료"),
        rows("인원", 3, "박바다"), once("2026년 부서 예산"),
    ]  # fmt: skip
    yield Sample("XLSX", "budget.xlsx", content, facts)
    many: office.Rows = [["번호", "창고"], *[[f"R-{at}", f"{at}호"] for at in range(500)]]
    facts = [row("번호: R-499", "창고: 499호"), rows("목록", 301, "R-299")]
    yield Sample("XLSX", "list.xlsx", office.xlsx({"목록": many}), facts)
    stated = [row("Region: Asia", "Cap: 160", "Meals: 50"), rows("Costs", 3, "Asia")]
    yield Sample("XLS", "costs.xls", office.xls({"Costs": COSTS}), stated)
    yield Sample("ODS", "costs.ods", office.ods("Costs", COSTS), stated)


def _csv() -> Iterator[Sample]:
    text = "\r\n".join(",".join(cells) for cells in STAFF)
    facts = [row("이름: 박바다", "부서: 인사팀", "내선: 3310"), rows("", 3, "박바다")]
    yield Sample("CSV", "utf-8.csv", text.encode("utf-8-sig"), facts)
    yield Sample("CSV", "cp949.csv", text.encode("cp949"), facts)
    tabs = "\n".join("\t".join(cells) for cells in COSTS)
    yield Sample("CSV", "costs.tsv", tabs.encode(), [row("Region: Asia", "Cap: 160")])
    quoted = '이름;비고\n"김; 하늘";"첫 줄\n둘째 줄"\n박바다;없음\n'
    facts = [row("이름: 김; 하늘", "비고: 첫 줄 둘째 줄"), row("이름: 박바다", "비고: 없음")]
    yield Sample("CSV", "quoted.csv", quoted.encode(), facts)


def _rtf() -> Iterator[Sample]:
    facts = [order("휴가 규정", "연차는 15일이다.")]
    yield Sample("RTF", "leave.rtf", office.rtf("휴가 규정", "연차는 15일이다."), facts)
    yield Sample(
        "RTF", "travel.rtf", office.rtf("Book early.", "Fly economy."), [order("Book", "Fly")]
    )


def _mail() -> Iterator[Sample]:
    text = "견적은 금요일까지 보내 주세요.\n\n> 지난 견적은 120만 원이었습니다.\n"
    files = {
        "인원.xlsx": office.xlsx({"인원": STAFF}),
        "규정.hwp": office.made("rules.hwp"),
        "로고.gif": b"GIF89a",
    }
    facts = [
        heading("견적 요청의 건"), has("kim@example.com"), once("지난 견적은 120만 원이었습니다."),
        order("금요일까지", "지난 견적"), attached("인원.xlsx", "박바다"), attached("규정.hwp", "제3조(정산)"),
    ]  # fmt: skip
    yield Sample("EML", "quote.eml", office.mail(text, files), facts)
    forwarded = office.mail(
        "Please see below.", {"first.eml": office.mail("The desk moved to B2.")}
    )
    facts = [has("Please see below."), attached("first.eml", "The desk moved to B2.")]
    yield Sample("EML", "forwarded.eml", forwarded, facts)
