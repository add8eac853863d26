"""Every office format: its text in its order, tables by rows, and where each passage is in its file."""

import io
import zipfile
from email.message import EmailMessage

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from rag_contract.errors import InvalidArgument
from rag_ingestor.chunking.chunks import ChunkSettings, chunk
from rag_ingestor.chunking.model import Chunk, Location
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.parse import is_plain, parse
from rag_ingestor.parsing.parsed import Kind, Parsed, Unread
from rag_ingestor.parsing.tables import table_text
from rag_ingestor.parsing.values import number_text, value_text
from tests.support.ingestor import office
from tests.support.ingestor.documents import KOREAN, archive, handbook, pdf

TABLE = [["직급", "비수기", "성수기"], ["사원", "80,000", "95,000"], ["부장", "110,000", "160,000"]]
ROWS = (
    "직급: 사원 · 비수기: 80,000 · 성수기: 95,000\n직급: 부장 · 비수기: 110,000 · 성수기: 160,000"
)
SMALL = ChunkSettings(target_tokens=12, max_tokens=16, overlap_tokens=0, min_tokens=0)


def blocks(parsed: Parsed) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def headings(parsed: Parsed) -> list[tuple[int, str]]:
    return [(block.level, block.heading) for block in parsed.blocks if block.kind is Kind.HEADING]


def holding(parsed: Parsed, text: str) -> Chunk:
    """The small chunk that has the text."""
    [found] = [one for one in chunk(parsed, SMALL) if text in one.text]
    return found


def refusal(content: bytes, name: str = "") -> str:
    with pytest.raises(InvalidArgument) as caught:
        parse(content, name)
    return caught.value.violations[0].description


@pytest.mark.parametrize("name", ["rules.hwp", "rules.hwpx"])
def test_hwp_reads_with_headings_notes_and_merged_cells(name: str) -> None:
    parsed = parse(office.made(name), name)
    assert [level for level, _ in headings(parsed)] == [1, 1]
    found = blocks(parsed)
    assert set(found) >= {
        "총무팀 문서",
        "제1장 총칙",
        "제1조(목적) 이 규정은 임직원의 국내 출장 여비를 정한다.",
        "해외 출장은 따로 정한다.",
        "직급: 사원 · 비수기: 80,000 · 성수기: 95,000\n"
        "직급: 과장 · 비수기: 110,000 · 성수기: 145,000\n"
        "직급: 부장 · 비수기: 110,000 · 성수기: 160,000",
        "제3조(정산) 출장에서 돌아온 날부터 닷새 안에 정산한다.",
    }
    order = [parsed.text.index(text) for text in ("제1조", "해외", "제2조", "145,000", "제3조")]
    assert order == sorted(order)
    # NFKC would make 1 and m2 of these.
    assert "①㎡ 단위" in parsed.text


@pytest.mark.parametrize("name", ["password.hwp", "password.hwpx"])
def test_hwp_with_a_password_says_so(name: str) -> None:
    assert refusal(office.made(name)) == reasons.ENCRYPTED


@pytest.mark.parametrize(("name", "reason"), [
    ("rules.hwp", reasons.BROKEN_HWP), ("rules.hwpx", reasons.BROKEN_HWPX),
])  # fmt: skip
def test_damaged_hwp_is_refused(name: str, reason: str) -> None:
    content = bytearray(office.made(name))
    content[1100:5000] = bytes(3900)
    assert refusal(bytes(content)) in (reason, reasons.NO_TEXT)


def test_an_hwpx_reads_its_text_boxes_and_texts_after_notes() -> None:
    space = 'xmlns:hp="http://www.hancom.co.kr/hwpml/2011/paragraph"'
    run = "<hp:run><hp:t>{}</hp:t></hp:run>"
    note = (
        "<hp:run><hp:t>앞</hp:t><hp:ctrl><hp:endNote><hp:subList><hp:p>"
        f"{run.format('미주')}</hp:p></hp:subList></hp:endNote></hp:ctrl>"
        "<hp:t>뒤<hp:lineBreak/>다음<hp:tab/>칸</hp:t></hp:run>"
    )
    box = (
        "<hp:run><hp:rect><hp:drawText><hp:subList><hp:p>"
        f"{run.format('글상자')}</hp:p></hp:subList></hp:drawText></hp:rect></hp:run>"
    )
    section = f"<hs:sec xmlns:hs='x' {space}><hp:p>{note}</hp:p><hp:p>{box}</hp:p></hs:sec>"
    second = f"<hs:sec xmlns:hs='x' {space}><hp:p>{run.format('열째')}</hp:p></hs:sec>"
    content = archive(
        {
            "mimetype": "application/hwp+zip",
            "Contents/section10.xml": second,
            "Contents/section9.xml": section,
        }
    )
    assert blocks(parse(content)) == ["앞뒤\n다음 칸", "미주", "글상자", "열째"]


def test_an_hwpx_reads_as_if_all_changes_were_accepted_and_notes_once() -> None:
    space = 'xmlns:hp="http://www.hancom.co.kr/hwpml/2011/paragraph"'
    noted = "<hp:subList><hp:p><hp:run><hp:t>각주</hp:t></hp:run></hp:p></hp:subList>"
    note = f"<hp:ctrl><hp:footNote>{noted}</hp:footNote></hp:ctrl>"
    changed = "<hp:t>새<hp:deleteBegin/>옛</hp:t></hp:run><hp:run><hp:t>것<hp:deleteEnd/> 글</hp:t>"
    inner = f"<hp:subList><hp:p><hp:run><hp:t>안</hp:t>{note}</hp:run></hp:p></hp:subList>"
    box = f"<hp:rect><hp:drawText>{inner}</hp:drawText></hp:rect>"
    table = f"<hp:tbl><hp:tr><hp:tc>{inner}</hp:tc></hp:tr></hp:tbl>"
    body = "".join(f"<hp:p><hp:run>{part}</hp:run></hp:p>" for part in (changed, box, table))
    section = f"<hs:sec xmlns:hs='x' {space}>{body}</hs:sec>"
    content = archive({"mimetype": "application/hwp+zip", "Contents/section0.xml": section})
    assert blocks(parse(content)) == ["새 글", "안", "각주", "안", "각주"]


def test_a_presentation_reads_slide_by_slide_with_tables_and_notes() -> None:
    content = office.presentation(
        [
            ("휴가 제도", "연차는 15일이다.\n이월은 5일까지다."),
            ("", ""),
            ("숙박비", "직급마다 다르다."),
        ],
        notes="묻는 사람이 많다.",
        table=TABLE,
    )
    parsed = parse(content, "a.pptx")
    assert headings(parsed) == [(1, "휴가 제도"), (1, "숙박비")]
    assert blocks(parsed)[1:] == [
        "연차는 15일이다.\n이월은 5일까지다.", "숙박비", "직급마다 다르다.", ROWS, "묻는 사람이 많다.",
    ]  # fmt: skip
    assert parsed.unread == (Unread(reasons.SLIDE_WITHOUT_TEXT, (2,)),)
    assert holding(parsed, "연차").page == 1
    assert holding(parsed, "묻는 사람").page == 3


def test_a_workbook_reads_row_by_row_with_the_names_of_its_columns() -> None:
    rows: office.Rows = [
        ["2026년 부서 예산", None, None],
        [None],
        ["부서", "항목", "금액"],
        ["총무팀", "비품", 1_450_000],
        ["총무팀", "임차료", 2.5],
        ["인사팀", "교육비", 900_000],
        [None],
        ["개발팀", "서버", 120_000],
    ]
    content = office.xlsx({"예산": rows, "빈 시트": []}, merged=[(0, 0, 0, 2), (3, 0, 4, 0)])
    parsed = parse(content, "renamed.docx")
    assert parsed.media_type.endswith("spreadsheetml.sheet")
    assert blocks(parsed) == [
        "예산",
        "2026년 부서 예산",
        "부서: 총무팀 · 항목: 비품 · 금액: 1450000\n"
        "부서: 총무팀 · 항목: 임차료 · 금액: 2.5\n"
        "부서: 인사팀 · 항목: 교육비 · 금액: 900000",
        "부서: 개발팀 · 항목: 서버 · 금액: 120000",
    ]
    assert holding(parsed, "임차료").location == Location("예산", 5, 5)
    assert holding(parsed, "서버").location == Location("예산", 8, 8)
    assert holding(parsed, "서버").headings == ("예산",)


@pytest.mark.parametrize("content", [
    office.xls({"숙박비": TABLE}), office.ods("숙박비", TABLE), office.xlsx({"숙박비": TABLE}),
])  # fmt: skip
def test_workbooks_of_every_kind_read_alike(content: bytes) -> None:
    assert blocks(parse(content)) == ["숙박비", ROWS]


def test_a_head_is_repeated_in_every_piece_of_a_long_sheet() -> None:
    rows = [
        ["번호", "규정", "유효기한"],
        *[[f"R-{at:03}", "규정", "2026-08-15"] for at in range(300)],
    ]
    pieces = chunk(parse(office.xlsx({"목록": rows})))
    assert len(pieces) > 5
    assert all("유효기한: 2026-08-15" in one.text for one in pieces)
    assert [one.location.first_row for one in pieces if one.location][1:] == [
        one.location.last_row + 1 for one in pieces if one.location
    ][:-1]


def test_delimited_values_may_be_quoted_uneven_and_in_cp949() -> None:
    text = '이름,부서,비고\r\n"김, 하늘",총무팀,"첫 줄\r\n둘째 줄"\r\n\r\n박바다,인사팀\r\n'
    parsed = parse(text.encode("cp949"), "a.csv")
    assert parsed.media_type == "text/csv"
    assert parsed.text.splitlines()[0] == "이름: 김, 하늘 · 부서: 총무팀 · 비고: 첫 줄 둘째 줄"
    assert holding(parsed, "박바다").location == Location("", 2, 5)


def test_a_list_that_is_named_as_a_table_is_plain_text() -> None:
    assert parse(b"one\ntwo\nthree", "a.csv").media_type == "text/plain"


def test_rtf_reads_in_its_code_page() -> None:
    parsed = parse(office.rtf("휴가 규정", "연차는 15일이다."), "a.rtf")
    assert blocks(parsed) == ["휴가 규정", "연차는 15일이다."]


def test_mail_reads_with_its_attachments_and_what_it_quotes_once() -> None:
    text = "견적은 금요일까지 보내 주세요.\n\n> 지난 견적은 120만 원이었습니다.\n"
    attachments = {
        "예산.xlsx": office.xlsx({"예산": TABLE}),
        "안내.pdf": pdf([[KOREAN], ["둘째 쪽의 글이다."]]),
        "규정.docx": handbook(),
        "로고.png": office.PNG,
    }
    parsed = parse(office.mail(text, attachments), "a.eml")
    assert parsed.title == "견적 요청의 건"
    found = blocks(parsed)
    assert found[1].splitlines() == [
        "From: 김하늘 <kim@example.com>", "To: lee@example.com", "Date: Mon, 30 Nov 2026 08:00:00 +0900",
    ]  # fmt: skip
    assert found[2:5] == [
        "견적은 금요일까지 보내 주세요.", "인용된 이전 메일", "지난 견적은 120만 원이었습니다.",
    ]  # fmt: skip
    assert parsed.unread == (
        Unread(reasons.ATTACHMENT_UNREAD, detail=f"로고.png: {reasons.IMAGE}"),
    )
    assert holding(parsed, "금요일").location is None
    assert holding(parsed, "부장").location == Location("예산", 3, 3, "예산.xlsx")
    second = holding(parsed, "둘째 쪽")
    assert (second.page, second.location) == (2, Location(attachment="안내.pdf"))


def test_mail_within_mail_is_read_to_a_bound() -> None:
    content = office.mail("가장 안쪽의 글이다.", subject="안")
    for depth in range(6):
        content = office.mail(f"{depth}번째 글이다.", {"전달.eml": content}, subject=f"{depth}")
    parsed = parse(content, "a.eml")
    assert "4번째 글이다." in parsed.text
    assert [one.reason for one in parsed.unread] == [reasons.ATTACHMENTS_LEFT_OUT]


def test_mail_is_known_by_its_headers_and_a_letter_is_none() -> None:
    assert parse(office.mail("본문이다.")).media_type == "message/rfc822"
    letter = "To: all\nFrom: Anna\nSubject: lunch\n\nWe meet at noon."
    assert parse(letter.encode(), "a.txt").media_type == "text/plain"
    subject = b"=?ks_c_5601-1987?B?yN6wobGtwaQ=?="
    raw = b"MIME-Version: 1.0\nFrom: a@b.c\nSubject: %s\nContent-Type: text/plain; charset=ks_c_5601-1987\n\n%s"
    assert "똠방각하" in parse(raw % (subject, "똠방각하".encode("cp949"))).text


@pytest.mark.parametrize("name", ["a.xlsx", "규정.docx", "B.PDF"])
def test_text_under_the_name_of_another_format_is_read_with_a_warning(name: str) -> None:
    parsed = parse("그냥 글이다.".encode(), name)
    assert parsed.text == "그냥 글이다."
    assert parsed.unread == (Unread(reasons.NAME_MISMATCH),)


def test_pages_without_text_are_noted_unless_they_are_empty() -> None:
    assert parse(pdf([["글이다."], [], ["또 글이다."]])).unread == ()


def test_rows_below_a_gap_go_on_with_the_table_above_and_a_new_head_begins_another() -> None:
    staff = [["부서", "이름", "업무"], ["총무팀", "김하늘", "문서"], [None], ["홍보팀", "이영희", "보도"],
             ["홍보팀", "최민수", "사진"]]  # fmt: skip
    assert blocks(parse(office.xlsx({"가": staff})))[1:] == [
        "부서: 총무팀 · 이름: 김하늘 · 업무: 문서",
        "부서: 홍보팀 · 이름: 이영희 · 업무: 보도\n부서: 홍보팀 · 이름: 최민수 · 업무: 사진",
    ]
    years: office.Rows = [["품목", "수량", "단가"], ["복사지", 40, 3], [None], ["부서", "2023년", "2024년"],
                          ["총무과", 10, 12]]  # fmt: skip
    assert blocks(parse(office.xlsx({"가": years})))[2] == "부서: 총무과 · 2023년: 10 · 2024년: 12"


def test_a_head_of_two_rows_may_have_quarters() -> None:
    rows: office.Rows = [["구분", "실적", "실적"], ["구분", "1분기", "2분기"], ["총무과", 1, 2]]
    content = office.xlsx({"가": rows}, merged=[(0, 1, 0, 2), (0, 0, 1, 0)])
    assert blocks(parse(content))[1] == "구분: 총무과 · 실적 1분기: 1 · 실적 2분기: 2"


def test_a_cell_of_several_lines_ends_no_table() -> None:
    text = '"현황\n(단위: 원)",,\n부서,금액,비고\n총무팀,10,"첫 줄\n둘째 줄"\n인사팀,20,\n'
    assert blocks(parse(text.encode(), "a.csv")) == [
        "현황 (단위: 원)",
        "부서: 총무팀 · 금액: 10 · 비고: 첫 줄 둘째 줄\n부서: 인사팀 · 금액: 20",
    ]
    unclosed = 'a,b\n1,"2\n' + "x,y\n" * 300
    assert parse(unclosed.encode(), "a.csv").media_type == "text/plain"


@pytest.mark.parametrize("declared", ["application/vnd.ms-excel", "text/csv"])
def test_a_table_of_text_may_be_declared_as_excel(declared: str) -> None:
    assert parse("이름,내선\n김하늘,3300\n".encode(), "a.csv", declared).media_type == "text/csv"


def test_a_chart_of_any_kind_is_a_table_of_its_figures() -> None:
    data = CategoryChartData()
    data.categories = ["1분기", "2분기"]
    data.add_series("매출", (1234567, 0.1 + 0.2))
    for kind in (XL_CHART_TYPE.COLUMN_CLUSTERED, XL_CHART_TYPE.THREE_D_COLUMN):
        deck = pptx.Presentation()
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        place = (Inches(1), Inches(1), Inches(5), Inches(4))
        slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *place, data)
        slide.shapes.add_textbox(*place).text_frame.text = "2024년\v사업계획"
        target = io.BytesIO()
        deck.save(target)
        content = target.getvalue()
        if kind is XL_CHART_TYPE.THREE_D_COLUMN:
            content = replaced(content, "ppt/charts/", b"c:barChart>", b"c:bar3DChart>")
        found = blocks(parse(content))
        assert "1분기 · 매출: 1234567\n2분기 · 매출: 0.3" in found
        assert "2024년\n사업계획" in found


def replaced(content: bytes, folder: str, old: bytes, new: bytes) -> bytes:
    """The archive with a text replaced in the members of a folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    changed = {name: part.replace(old, new) for name, part in members.items() if folder in name}
    assert changed != {name: members[name] for name in changed}
    return archive({**members, **changed})


def message_of(*parts: EmailMessage, subtype: str = "mixed") -> EmailMessage:
    whole = EmailMessage()
    whole["Subject"] = "제목"
    whole["From"] = "a@b.c"
    whole["MIME-Version"] = "1.0"
    whole.set_type(f"multipart/{subtype}")
    for part in parts:
        whole.attach(part)
    return whole


def part_of(content: str | bytes, kind: str = "plain", name: str = "") -> EmailMessage:
    part = EmailMessage()
    if isinstance(content, bytes):
        part.set_content(content, maintype="application", subtype=kind, filename=name or None)
    else:
        part.set_content(content, subtype=kind)
    return part


@pytest.mark.parametrize(("message", "texts"), [
    (message_of(part_of("<img src=cid:1>", "html"), part_of("붙임".encode(), "octet-stream", "a.txt")),
     ["붙임"]),
    (message_of(part_of(" "), part_of("<p>본문</p>", "html"), subtype="alternative"), ["본문"]),
    (message_of(part_of("평문"), message_of(part_of("<p>본문</p>", "html"),
     part_of("붙임".encode(), "octet-stream", "a.txt")), subtype="alternative"), ["평문", "붙임"]),
    (message_of(part_of("첫째"), part_of("<p>둘째</p>", "html")), ["첫째", "둘째"]),
    (message_of(part_of("안내"), part_of("장소: 3층 회의실", "calendar"), subtype="alternative"),
     ["안내", "장소: 3층 회의실"]),
    (message_of(message_of(part_of("본문"), part_of("붙임".encode(), "octet-stream", "a.txt")),
     part_of(b"signature", "pkcs7-signature", "smime.p7s"), subtype="signed"), ["본문", "붙임"]),
])  # fmt: skip
def test_mail_of_any_structure_loses_nothing(message: EmailMessage, texts: list[str]) -> None:
    parsed = parse(message.as_bytes(), "a.eml")
    assert [text for text in blocks(parsed) if text in texts] == texts
    assert parsed.unread == ()


def test_mail_that_is_encrypted_says_so() -> None:
    message = part_of(bytes(range(256)), "pkcs7-mime", "smime.p7m")
    message["Subject"], message["From"] = "제목", "a@b.c"
    [unread] = parse(message.as_bytes(), "a.eml").unread
    assert unread.detail.startswith("smime.p7m: ")


@pytest.mark.parametrize("date", ["Mon, 1 Jan 2024 00:00:00 +99999999999999999999", "", "\x00\xff"])
def test_damaged_headers_are_left_out(date: str) -> None:
    raw = f"From: <@:;>\nDate: {date}\nSubject: s\nMessage-ID: <\nMIME-Version: 1.0\n\n본문이다."
    assert "본문이다." in blocks(parse(raw.encode("utf-8", "surrogatepass"), "a.eml"))


def test_rtf_reads_tables_and_emoji_and_says_what_it_leaves_out() -> None:
    table = (
        r"\trowd\cellx1\cellx2 name\cell days\cell\row\trowd\cellx1\cellx2 leave\cell 15\cell\row "
    )
    raw = rf"{{\rtf1\ansi\ansicpg1252 Hello \u-10179?\u-8704?\par {table}{{\footnote note}}\par}}"
    parsed = parse(raw.encode())
    assert blocks(parsed)[0] == "Hello 😀"
    assert any("leave" in one and "15" in one for one in blocks(parsed)[1].splitlines())
    assert parsed.unread == (Unread(reasons.PARTS_UNREAD),)


def test_a_letter_with_a_workbook_in_it_is_not_taken_for_one() -> None:
    names = "".join(("WordDocument", "ObjectPool", "Workbook")).encode("utf-16-le")
    assert refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + names) == reasons.OFFICE


@pytest.mark.parametrize("content", [office.PNG, b"\xef\xbb\xbf%PDF-1.7", b"BM1234\0\0\0\0"])
def test_images_and_pdfs_are_never_read_outside_a_worker(content: bytes) -> None:
    assert not is_plain(content, "a.txt", "text/plain")


def test_rtf_keeps_prose_with_bars_and_cells_of_several_paragraphs() -> None:
    raw = (
        rb"{\rtf1\ansi A | B | C last\par name\cell dept\cell first duty\par second duty\cell\row}"
    )
    assert " ".join(blocks(parse(raw))) == "A | B | C last name|dept|first duty second duty|"


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([["founded", "2005"], ["listed", "2012"]], "founded: 2005\nlisted: 2012"),
        (
            [["홍길동", "2019", "영업부"], ["이영희", "2021", "개발부"]],
            "홍길동 | 2019 | 영업부\n이영희 | 2021 | 개발부",
        ),
        (
            [["담당", "담당", "2023"], ["영업", "서울", "2022"], ["개발", "부산", "2021"]],
            "담당 | 담당 | 2023\n영업 | 서울 | 2022\n개발 | 부산 | 2021",
        ),
        (
            [["부서", "2023년", "2024년"], ["총무과", "10", "12"]],
            "부서: 총무과 · 2023년: 10 · 2024년: 12",
        ),
    ],
)
def test_a_year_names_a_column_only_above_what_is_no_year(rows: list[list[str]], text: str) -> None:
    assert table_text(rows) == text


def test_a_long_note_above_a_table_is_not_repeated_in_its_rows() -> None:
    rows = [["가" * 500] * 3, ["성명", "부서", "비고"], *[["김하늘", "총무팀", "없음"]] * 9]
    assert len(table_text(rows)) < 2000


def test_mail_keeps_reports_file_names_and_headers_in_any_charset() -> None:
    status = "Final-Recipient: rfc822; lee@example.com\nStatus: 5.1.1\n"
    raw = (
        "From: a@b.c\nSubject: 출장비 안내\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\n본문이다.\n"
        f"--b\nContent-Type: message/delivery-status\n\n{status}\n"
        '--b\nContent-Type: text/plain\nContent-Disposition: inline; filename="memo.txt"\n\n붙임이다.\n'
        "--b\nContent-Disposition: attachment; filename*\n\nx\n--b--\n"
    )
    parsed = parse(raw.encode("cp949"), "a.eml")
    assert parsed.title == "출장비 안내"
    assert {"본문이다.", "memo.txt", "붙임이다."} <= set(blocks(parsed))
    assert "5.1.1" in parsed.text or parsed.unread
    assert holding(parsed, "붙임이다.").location == Location(attachment="memo.txt")


def test_labels_of_charts_stay_as_they_are_and_numbers_are_exact() -> None:
    assert number_text("1.2345670000000001E6") == "1234567"
    assert value_text(1234567890123450.0) == "1234567890123450"
    data = CategoryChartData()
    for year in ("2023", "2024"):
        category = data.add_category(year)
        for month in ("010", "2024.10"):
            category.add_sub_category(month)
    data.add_series("매출", (1, 2, 3, 4))
    deck = pptx.Presentation()
    place = (Inches(1), Inches(1), Inches(5), Inches(4))
    kind = XL_CHART_TYPE.COLUMN_CLUSTERED
    deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_chart(kind, *place, data)
    target = io.BytesIO()
    deck.save(target)
    text = parse(target.getvalue()).text
    assert text == "010 · 매출: 1\n2024.10 · 매출: 2\n010 · 매출: 3\n2024.10 · 매출: 4"


def test_captions_stand_once() -> None:
    space = 'xmlns:hp="http://www.hancom.co.kr/hwpml/2011/paragraph"'

    def paragraph(inner: str) -> str:
        return f"<hp:p><hp:run>{inner}</hp:run></hp:p>"

    caption = (
        f"<hp:caption><hp:subList>{paragraph('<hp:t>표 제목</hp:t>')}</hp:subList></hp:caption>"
    )
    cell = f"<hp:tc><hp:subList>{paragraph('<hp:t>칸</hp:t>')}</hp:subList></hp:tc>"
    table = f"<hp:tbl>{caption}<hp:tr>{cell}</hp:tr></hp:tbl>"
    box = (
        f"<hp:rect><hp:drawText><hp:subList>{paragraph(table)}</hp:subList></hp:drawText></hp:rect>"
    )
    section = f"<hs:sec xmlns:hs='x' {space}>{paragraph(box)}</hs:sec>"
    content = archive({"mimetype": "application/hwp+zip", "Contents/section0.xml": section})
    assert blocks(parse(content)) == ["표 제목", "칸"]


def test_a_note_of_an_attachment_keeps_its_reason() -> None:
    deck = office.presentation([("제목", "본문"), ("", "")])
    parsed = parse(office.mail("본문", {"a.pptx": deck}), "a.eml")
    assert parsed.unread == (Unread(reasons.SLIDE_WITHOUT_TEXT, detail="a.pptx (2)"),)
