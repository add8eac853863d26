"""Documents: taken in, replaced, read, listed and removed."""

import asyncio
import re

import pytest

from rag.gateway.v1 import options_pb2 as options
from tests.e2e.callers import CREATED, REPLACED, UNCHANGED, Caller, refused
from tests.e2e.outcomes import same_content_at_once
from tests.support.ingestor import office
from tests.support.ingestor.documents import KOREAN, archive, handbook, pdf
from tests.support.waiting import until

LEAVE = "# 휴가 규정\n\n## 연차\n\n연차 휴가는 15일입니다.\n\n## 병가\n\n병가는 60일까지 쓸 수 있습니다.\n"


def long_text(words: int, mark: str = "문장") -> str:
    """Sentences, a paragraph of ten each, that are all different."""
    lines = [f"{mark} {number}번은 창고 {number * 7}호의 규칙을 적는다." for number in range(words)]
    return "\n\n".join(" ".join(lines[at : at + 10]) for at in range(0, words, 10))


async def test_a_new_document_is_created(caller: Caller) -> None:
    done = await caller.ingest("leave", LEAVE, filename="leave.md", metadata={"team": "hr"})
    assert done.outcome == CREATED
    document = done.document
    assert (document.document_id, document.collection) == ("leave", "default")
    assert (document.title, document.media_type) == ("휴가 규정", "text/markdown")
    assert document.passage_count == len(await caller.passages("leave"))
    assert document.update_time.seconds
    assert document.metadata["team"] == "hr"
    assert {"split", "store", "total"} <= {timing.stage for timing in done.timings}
    assert await caller.get("leave") == document


async def test_the_same_document_again_changes_nothing(caller: Caller) -> None:
    first = await caller.ingest("leave", LEAVE)
    again = await caller.ingest("leave", LEAVE)
    assert again.outcome == UNCHANGED
    assert again.document == first.document
    assert "split" not in {timing.stage for timing in again.timings}


async def test_of_callers_that_bring_the_same_content_at_once_one_changes_it(
    caller: Caller,
) -> None:
    await same_content_at_once(caller)


async def test_a_new_version_takes_the_place_of_the_former_one(caller: Caller) -> None:
    former = await caller.ingest("leave", LEAVE)
    done = await caller.ingest("leave", "연차 휴가는 20일입니다.")
    assert done.outcome == REPLACED
    assert done.document.version != former.document.version
    texts = [item.passage.text for item in (await caller.search("휴가는 며칠")).passages]
    assert texts == ["연차 휴가는 20일입니다."]


async def test_readers_find_exactly_one_version_at_every_moment(caller: Caller) -> None:
    await caller.ingest("rule", long_text(60, "판본0"))
    observed: set[frozenset[str]] = set()
    stop = asyncio.Event()

    async def read() -> None:
        how = options.RetrievalOptions(top_k=50)
        while not stop.is_set():
            result = (await caller.search("창고의 규칙", retrieval=how)).passages
            observed.add(
                frozenset(m for p in result for m in re.findall(r"판본\d+", p.passage.text))
            )

    readers = [asyncio.create_task(read()) for _ in range(2)]
    for number in range(1, 4):
        await until(lambda n=number: frozenset({f"판본{n - 1}"}) in observed, "the version is read")
        done = await caller.ingest("rule", long_text(60, f"판본{number}"))
        assert done.outcome == REPLACED
    stop.set()
    await asyncio.gather(*readers)
    assert {len(versions) for versions in observed} == {1}


async def test_a_large_document_goes_as_a_stream(caller: Caller) -> None:
    content = long_text(120).encode() + b"\n" * 2**21
    done = await caller.upload("large", content, piece=2**18)
    assert done.outcome == CREATED
    best = (await caller.search("문장 111번의 창고")).passages
    assert any("111번" in item.passage.text for item in best)
    again = await caller.upload("large", content)
    assert again.outcome == UNCHANGED


async def test_a_removed_document_is_gone_with_all_its_passages(caller: Caller) -> None:
    done = await caller.ingest("leave", LEAVE)
    assert await caller.delete("leave") == done.document.passage_count
    assert not (await caller.search("휴가")).passages
    for call in (caller.get("leave"), caller.passages("leave"), caller.delete("leave")):
        result = await refused(call)
        assert (result.code, result.reason) == ("NOT_FOUND", "DOCUMENT_NOT_FOUND")
    assert (await caller.ingest("leave", LEAVE)).outcome == CREATED


async def test_a_list_is_of_one_collection_or_of_all(caller: Caller) -> None:
    await caller.ingest("a", "본문 가", collection="wiki")
    await caller.ingest("b", "본문 나", collection="mail")
    assert await caller.every_document(collection="wiki") == ["a"]
    assert sorted(await caller.every_document()) == ["a", "b"]
    how = options.RetrievalOptions(collections=["mail"])
    [result] = (await caller.search("본문", retrieval=how)).passages
    assert result.passage.collection == "mail"


async def test_the_neighbours_of_a_passage_can_be_read(caller: Caller) -> None:
    await caller.ingest("rule", long_text(120))
    result = (await caller.search("문장 60번의 창고")).passages[0].passage
    around = await caller.passages("rule", first_ordinal=result.ordinal - 1, page_size=3)
    assert [item.ordinal for item in around] == [result.ordinal + step for step in (-1, 0, 1)]
    assert around[1] == result
    assert around[0].span.start < result.span.start < around[2].span.start
    last = (await caller.get("rule")).passage_count
    for beyond in (last, 2**31, 2**32 - 1):
        assert not await caller.passages("rule", first_ordinal=beyond)


def leave_hwpx() -> bytes:
    space = 'xmlns:hp="http://www.hancom.co.kr/hwpml/2011/paragraph"'
    text = "<hp:p><hp:run><hp:t>연차 휴가는 15일입니다.</hp:t></hp:run></hp:p>"
    section = f"<hs:sec xmlns:hs='x' {space}>{text}</hs:sec>"
    return archive({"mimetype": "application/hwp+zip", "Contents/section0.xml": section})


FILES = {
    "leave.md": ("text/markdown", LEAVE.encode(), "휴가 규정", 0),
    "leave.html": (
        "text/html",
        "<html><head><title>휴가</title></head><body><h1>연차</h1>"
        "<p>연차 휴가는 15일입니다.</p><script>alert('숨김')</script></body></html>".encode(),
        "휴가",
        0,
    ),
    "leave.pdf": (
        "application/pdf",
        pdf([[KOREAN], ["둘째 쪽의 휴가 규칙입니다."]]),
        "untitled",
        1,
    ),
    "leave.docx": (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        handbook(),
        "휴가 규정",
        0,
    ),
    "leave.txt": (
        "text/plain",
        "연차 휴가는 15일입니다. 반차도 있습니다.".encode("cp949"),
        "leave",
        0,
    ),
    "leave.hwpx": ("application/hwp+zip", leave_hwpx(), "leave", 0),
    "leave.pptx": (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        office.presentation([("휴가", "연차 휴가는 15일입니다.")]),
        "휴가",
        1,
    ),
    "leave.xlsx": (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        office.xlsx({"휴가": [["종류", "일수"], ["연차 휴가", "15일"], ["병가", "60일"]]}),
        "휴가",
        0,
    ),
    "leave.rtf": ("application/rtf", office.rtf("연차 휴가는 15일입니다."), "leave", 0),
    "leave.eml": ("message/rfc822", office.mail("연차 휴가는 15일입니다."), "견적 요청의 건", 0),
}


@pytest.mark.parametrize("name", FILES)
async def test_every_format_is_read_recognised_and_found(caller: Caller, name: str) -> None:
    media_type, content, title, page = FILES[name]
    document = (await caller.ingest("leave", content, filename=name)).document
    assert (document.media_type, document.title) == (media_type, title)
    result = (await caller.search("연차 휴가는 며칠입니까")).passages[0].passage
    assert "휴가" in result.text
    assert "숨김" not in result.text
    assert result.page == page
    reply = await caller.ask("연차 휴가는 며칠입니까?")
    assert "15일" in reply.text


async def test_what_was_not_read_is_said_and_where_a_passage_is(caller: Caller) -> None:
    rows: office.Rows = [
        ["창고", "열쇠"],
        *[[f"{at}호 창고", f"{at}번 열쇠"] for at in range(1, 200)],
    ]
    files = {"열쇠.xlsx": office.xlsx({"열쇠": rows}), "그림.png": b"GIF89a"}
    content = office.mail("열쇠 목록을 보냅니다.", files)
    said = (await caller.ingest("keys", content, filename="keys.eml")).document
    [warning] = said.warnings
    assert (warning.reason, "그림.png" in warning.description) == ("ATTACHMENT_UNREAD", True)
    assert (await caller.get("keys")).warnings == said.warnings
    best = (await caller.search("150호 창고의 열쇠")).passages[0].passage
    assert (best.location.attachment, best.location.sheet) == ("열쇠.xlsx", "열쇠")
    assert best.location.first_row <= 151 <= best.location.last_row
    assert "150번 열쇠" in best.text
