"""Sentence boundaries."""

import textwrap
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_common.text.sentences import sentences


def split(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("비가 온다. 눈이 와요. 갈까? 좋음. 확인함.", 5),
        ("연차는 15일이다.병가는 30일이다.", 2),
        ("Rain fell. Did it stop? Yes! Good.", 4),
        ("今日は晴れ。明日は雨！本当？", 3),
        ("앞이다.[1] 뒤이다.[2][3] 끝이다.", 3),
        ("It rose in 1999. The end came.", 2),
    ],
)
def test_a_stop_ends_a_sentence(text: str, expected: int) -> None:
    assert len(split(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "원주율은 3.14이다.",
        "시행일은 2019. 6. 30. 이다.",
        "Dr. Kim of the U.S. Army met J. K. Rowling, e.g. at no. 5 St. James.",
        "그는… 결국 갔다.",
        "주소는 www.example.com/a.html 이다.",
        "Acme Inc. Germany makes version 2.0 of it.",
        "그는 (1980년생. 서울 출신) 왔다.",
    ],
)
def test_a_stop_within_a_date_number_or_abbreviation_does_not(text: str) -> None:
    assert split(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        '"못하고 있다. 행사하고 있다."고 답변했다.',
        '그는 "간다." 라고 말했다.',
        '"Really?" he asked.',
        "「行く。」と言った。",
    ],
)
def test_a_quotation_stays_in_its_sentence(text: str) -> None:
    assert split(text) == [text]


def test_closing_quotes_belong_to_the_sentence_before() -> None:
    assert split("“간다.” 그는 갔다.") == ["“간다.”", "그는 갔다."]


def test_headings_list_items_and_paragraphs_stand_alone() -> None:
    text = "# 휴가\n1. 연차는 15일\n- 병가는 30일\n\n가. 첫째 조항.\nA. Second"
    expected = ["# 휴가", "1. 연차는 15일", "- 병가는 30일", "가. 첫째 조항.", "A. Second"]
    assert split(text) == expected


def test_a_wrapped_line_goes_on() -> None:
    english = "the committee that was set up in the spring\nmet twice."
    korean = "봄에 구성된 위원회는 여러 차례의 논의를 거친 다음 두 번의 회의를\n열었다."
    assert split(english) == [english]
    assert split(korean) == [korean]


SHORT_KOREAN = (
    "회의실을 예약하려는 직원은 사용하기 이틀 전까지 그룹웨어에서 신청하고 총무팀의 확인을 받아야 한다.",
    "출장비는 귀임한 날부터 열흘 안에 영수증을 붙여 재무팀에 정산 신청서를 내야 하며 늦으면 주지 않는다.",
    "사내 도서관의 책은 한 번에 다섯 권까지 3주 동안 빌릴 수 있고 한 차례 연장할 수 있다.",
)
SHORT_ENGLISH = (
    "The parking garage closes at eleven in the evening and reopens at six in the morning on weekdays.",
    "Employees of Haneul Trading who travel to Busan or Tokyo must send the report to Ms Park in ten days.",
    "Lost luggage must be reported to the travel desk within 24 hours, and receipts must be kept.",
)


@pytest.mark.parametrize("width", range(12, 29))
@pytest.mark.parametrize("at", range(3))
def test_korean_wrapped_at_a_narrow_width_goes_on(at: int, width: int) -> None:
    text = f"{SHORT_KOREAN[at - 1]} {SHORT_KOREAN[at]}"
    result = split("\n".join(textwrap.wrap(text, width, break_long_words=False)))
    assert [" ".join(one.split()) for one in result] == [SHORT_KOREAN[at - 1], SHORT_KOREAN[at]]


@pytest.mark.parametrize("width", range(24, 41))
@pytest.mark.parametrize("at", range(3))
def test_english_wrapped_at_a_narrow_width_goes_on(at: int, width: int) -> None:
    text = f"{SHORT_ENGLISH[at - 1]} {SHORT_ENGLISH[at]}"
    result = split("\n".join(textwrap.wrap(text, width)))
    assert [" ".join(one.split()) for one in result] == [SHORT_ENGLISH[at - 1], SHORT_ENGLISH[at]]


@pytest.mark.parametrize(
    "lines",
    [
        ["문의처", "내선 3300"],
        ["신청서", "신분증 사본", "통장 사본"],
        ["구분: 사내 헬스장", "위치: 지하 1층", "담당자: 총무팀"],
        ["근무 시간", "직원은 오전 9시에 출근한다."],
        ["연차 휴가 신청 방법 안내", "팀장에게 말한다."],
        ["Opening hours", "The desk opens at nine."],
        ["Documents", "passport", "photo"],
        ["질문: 난방이 되나요", "답변: 신청한 층만 됩니다."],
    ],
)
def test_short_lines_that_are_no_running_text_stand_alone(lines: list[str]) -> None:
    assert split("\n".join(lines)) == lines


def test_no_text_no_sentence() -> None:
    assert sentences("") == []
    assert sentences(" \n\t ") == []


@given(st.text(alphabet="다요a B1.!?…。\"'”“()[]\n -", max_size=60))
def test_nothing_but_white_space_is_left_out(text: str) -> None:
    result = sentences(text)
    assert "".join("".join(split(text)).split()) == "".join(text.split())
    assert all(a.end <= b.start for a, b in pairwise(result))
    assert all(split(text))
