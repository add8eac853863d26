"""Running headers, footers and page numbers of a PDF are no text; a sentence over a page is whole."""

import io
from collections.abc import Sequence

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from rag_ingestor.parsing.parse import parse
from rag_ingestor.parsing.running_lines import PlacedLine, without_running_lines
from tests.support.ingestor.documents import FONT


def placed(*pages: Sequence[tuple[float, str]]) -> list[list[str]]:
    """The texts that are kept of pages whose lines have these heights."""
    lines = [[PlacedLine(text, height) for height, text in page] for page in pages]
    return [[line.text for line in page] for page in without_running_lines(lines)]


def page(number: int, *texts: str) -> list[tuple[float, str]]:
    body = [(740.0 - 18 * at, text) for at, text in enumerate(texts)]
    return [(800.0, "가온물산 인사규정"), *body, (30.0, f"- {number} / 9 -")]


def test_lines_at_the_edge_of_each_page_are_left_out_whatever_their_numbers_are() -> None:
    pages = [page(at, f"{at}쪽 첫 줄", "둘째 줄", "끝줄") for at in range(1, 4)]
    assert placed(*pages) == [[f"{at}쪽 첫 줄", "둘째 줄", "끝줄"] for at in range(1, 4)]


def test_text_that_repeats_and_stands_with_the_text_stays() -> None:
    pages = [page(at, "같은 첫 줄", "가나다라"[at] * 9, "보관한다.") for at in range(4)]
    assert placed(*pages) == [["같은 첫 줄", own * 9, "보관한다."] for own in "가나다라"]


def test_the_same_line_at_different_heights_is_text() -> None:
    pages = [[(700.0 - 90 * at, "결론"), (80.0, "가"), (62.0, "나")] for at in range(4)]
    assert all(kept[0] == "결론" for kept in placed(*pages))


def test_two_pages_are_too_few_to_tell() -> None:
    pages = [page(at, "글", "글 둘", "글 셋") for at in (1, 2)]
    assert [len(kept) for kept in placed(*pages)] == [5, 5]


def test_headers_that_alternate_are_left_out_and_a_first_page_may_have_none() -> None:
    pages = [[(760.0, "표지"), (742.0, "머리말"), (724.0, "날짜")]]
    for at in range(8):
        title = "인사규정" if at % 2 else "가온물산"
        own = "가나다라마바사아"[at]
        pages.append([(800.0, title), (740.0, f"{own} 하나"), (722.0, f"{own} 둘"), (704.0, own)])
    kept = placed(*pages)
    assert kept[0] == ["표지", "머리말", "날짜"]
    # Each stands on fewer than half of the pages.
    assert kept[1][0] == "가온물산"
    assert placed(*pages[1:])[0] == ["가 하나", "가 둘", "가"]


def test_pages_that_are_alike_are_text() -> None:
    pages = [page(at, "신청서", "이름:", "날짜:") for at in range(1, 7)]
    assert all(len(kept) > 2 for kept in placed(*pages))


def test_the_order_of_lines_in_the_file_does_not_matter() -> None:
    pages = [
        page(at, "첫 줄의 글이다", f"{at}째 줄이다", "끝줄의 글이다")[::-1] for at in range(1, 5)
    ]
    assert placed(*pages)[0] == ["끝줄의 글이다", "1째 줄이다", "첫 줄의 글이다"]


def document(*pages: Sequence[tuple[float, str]]) -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    target = io.BytesIO()
    canvas = Canvas(target)
    for lines in pages:
        canvas.setFont(FONT, 11)
        for height, text in lines:
            canvas.drawString(60, height, text)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def test_a_sentence_that_runs_over_a_page_is_whole_and_an_article_begins_anew() -> None:
    content = document(
        page(1, "제1조 기록은 남긴다.", "또 적는다.", "부양가족이 있는 직원에게는 매월"),
        page(2, "가족수당 8만 원을 지급한다.", "이어서 적는다.", "제2조 그 밖의 것은"),
        page(3, "제3조 따로 정한다.", "마지막 줄이다.", "그리고 마친다."),
    )
    parsed = parse(content, "a.pdf")
    blocks = [parsed.text[block.start : block.end] for block in parsed.blocks]
    assert blocks == [
        "제1조 기록은 남긴다.\n또 적는다.\n부양가족이 있는 직원에게는 매월\n"
        "가족수당 8만 원을 지급한다.\n이어서 적는다.\n제2조 그 밖의 것은",
        "제3조 따로 정한다.\n마지막 줄이다.\n그리고 마친다.",
    ]
    assert [place.page for place in parsed.places] == [1, 2, 3]
    second = parsed.places[1]
    assert "가족수당" in parsed.text[second.start : second.end]
    assert "인사규정" not in parsed.text
