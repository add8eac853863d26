"""What chunks are: slices of the text that hold all of it, in order, of the right size."""

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_contract.errors import InvalidArgument
from rag_ingestor.chunking.chunks import ChunkSettings, chunk, estimated_tokens
from rag_ingestor.parsing.parse import parse
from rag_ingestor.parsing.parsed import Parsed
from rag_retriever.index.model import Chunk
from tests.support.fuzz import examples
from tests.support.ingestor import documents
from tests.support.ingestor.documents import KOREAN

SMALL = ChunkSettings(target_tokens=40, max_tokens=60, overlap_tokens=12, min_tokens=8)


def parsed(text: str, filename: str = "a.txt") -> Parsed:
    return parse(text.encode(), filename)


def texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


def test_a_document_that_fits_into_one_chunk_stays_whole() -> None:
    source = f"# 규정\n\n{KOREAN}\n\n## 반차\n\n{KOREAN}\n"
    (whole,) = chunk(parsed(source, "a.md"))
    assert whole.text == source.strip()
    assert whole.headings == ("규정",)


def test_a_passage_of_a_few_hundred_tokens_stays_whole() -> None:
    source = " ".join([KOREAN] * 12)
    assert 300 < estimated_tokens(source) < 384
    assert texts(chunk(parsed(source))) == [source]


def test_sections_are_cut_apart_and_know_their_headings() -> None:
    source = f"# 규정\n\n## 휴가\n\n{KOREAN}\n\n## 급여\n\n{KOREAN}\n\n# 부칙\n\n{KOREAN}\n"
    chunks = chunk(parsed(source, "a.md"), ChunkSettings(40, 60, 0, 8))
    assert [c.headings for c in chunks] == [("규정", "휴가"), ("규정", "급여"), ("부칙",)]
    assert chunks[0].text.startswith("# 규정\n\n## 휴가")


def test_small_sections_join_the_next_under_the_headings_they_share() -> None:
    source = f"# 규정\n\n## 가\n\n짧다.\n\n## 나\n\n짧다.\n\n## 다\n\n{KOREAN}\n"
    chunks = chunk(parsed(source, "a.md"), ChunkSettings(32, 36, 0, 20))
    assert [c.headings for c in chunks] == [("규정",), ("규정", "다")]


def test_a_chunk_ends_with_a_paragraph_where_one_ends_near() -> None:
    first, second = " ".join(["가나다라 마바사다."] * 4), " ".join(["아자차카 타파하다."] * 5)
    chunks = chunk(parsed(f"{first}\n\n{second}"), ChunkSettings(30, 50, 0, 0))
    assert texts(chunks) == [first, second]


def test_chunks_of_a_section_share_whole_sentences() -> None:
    sentences = [f"문장 번호 {number}번은 짧게 끝난다." for number in range(30)]
    chunks = chunk(parsed(" ".join(sentences)), ChunkSettings(80, 100, 20, 8))
    for before, after in pairwise(chunks):
        shared = before.text[after.start - before.start :]
        assert shared
        assert not re.sub(r"문장 번호 \d+번은 짧게 끝난다\.\s*", "", shared)
        assert estimated_tokens(shared) <= 20


def test_nothing_is_shared_between_sections() -> None:
    source = "".join(f"# 제목 {number}\n\n{KOREAN}\n\n" for number in range(5))
    chunks = chunk(parsed(source, "a.md"), SMALL)
    assert all(a.end <= b.start for a, b in pairwise(chunks))


def test_a_sentence_is_cut_only_if_it_is_too_long_and_then_between_words() -> None:
    long = " ".join(["기나긴"] * 200)
    chunks = chunk(parsed(f"짧은 문장이다. {long}"), SMALL)
    assert len(chunks) > 5
    assert all(set(c.text.split()) <= {"짧은", "문장이다.", "기나긴"} for c in chunks)


def test_text_without_spaces_is_cut_between_characters() -> None:
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
    chunks = chunk(parsed(family * 100), SMALL)
    assert "".join(texts(chunks)) == family * 100
    assert not any(c.text.startswith("\u200d") for c in chunks)


def test_lines_of_code_stay_whole() -> None:
    source = "\n".join(["```", *(f"value_{n} = compute({n}, {n * 100})" for n in range(40)), "```"])
    for piece in texts(chunk(parsed(source, "a.md"), SMALL)):
        assert all(line == "```" or line.endswith(")") for line in piece.split("\n"))


def test_chunks_know_the_page_on_which_they_begin() -> None:
    content = documents.pdf([[f"{number}쪽이다. {KOREAN}"] for number in range(1, 4)])
    chunks = chunk(parse(content), ChunkSettings(40, 50, 0, 0))
    assert [c.page for c in chunks] == [1, 2, 3]
    assert chunk(parsed(KOREAN))[0].page is None


def test_settings_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ValueError, match="chunk sizes"):
        ChunkSettings(target_tokens=300, max_tokens=200)


def test_the_estimate_is_near_the_tokenizer_for_prose() -> None:
    # Counts of the XLM-R tokenizer without its two special tokens.
    assert estimated_tokens(
        "휴가 신청은 사내 포털에서 하며, 팀장 승인 후 확정합니다."
    ) == pytest.approx(18, rel=0.35)
    english = "The quick brown fox jumps over the lazy dog because retrieval is fun."
    assert estimated_tokens(english) == pytest.approx(17, rel=0.25)


WORDS = st.one_of(
    st.sampled_from(
        [
            "연차는 15일이다.",
            "Dr. Kim said so.",
            "\n",
            "\n\n",
            "# 제목\n\n",
            "## 둘\n",
            "- 항목\n",
            "| a | b |\n",
            "```\n",
            " ",
            "\t",
            "e\u0301",
            "\u1112\u1161\u11ab",
            "가" * 80,
            "x" * 300,
            "\r\n",
            "。",
            "\u200d",
        ]
    ),
    st.text(max_size=30),
)
TEXTS = st.lists(WORDS, max_size=60).map("".join)
SIZES = st.builds(
    lambda target, more, overlap, least: ChunkSettings(
        target, target + more, min(overlap, target - 1), min(least, target)
    ),
    st.integers(4, 80),
    st.integers(0, 60),
    st.integers(0, 30),
    st.integers(0, 30),
)


@settings(max_examples=examples(100))
@given(TEXTS, st.sampled_from(["a.txt", "a.md", "a.html"]), SIZES)
def test_chunks_are_slices_of_bounded_size_that_cover_the_text(
    source: str, filename: str, sizes: ChunkSettings
) -> None:
    try:
        document = parse(source.encode(errors="ignore"), filename)
    except InvalidArgument:
        return
    chunks = chunk(document, sizes)
    data = document.text.encode()
    covered = bytearray(len(document.text))
    for at, piece in enumerate(chunks):
        assert piece.ordinal == at
        assert piece.text == document.text[piece.start : piece.end] == piece.text.strip() != ""
        assert data[piece.start_byte : piece.end_byte].decode() == piece.text
        assert unicodedata.is_normalized("NFC", piece.text)
        assert estimated_tokens(piece.text) <= sizes.max_tokens + 1e-6 or len(piece.text) == 1
        assert len(piece.text) <= sizes.max_tokens * 16
        covered[piece.start : piece.end] = b"\1" * (piece.end - piece.start)
    for block in document.blocks:
        missing = (at for at in range(block.start, block.end) if not covered[at])
        assert all(document.text[at].isspace() for at in missing)
    for before, after in pairwise(chunks):
        assert before.start < after.start
        assert before.end < after.end
    assert chunk(document, sizes) == chunks


@settings(max_examples=examples(100))
@given(TEXTS)
def test_the_blocks_of_plain_text_hold_all_of_it(source: str) -> None:
    try:
        document = parse(source.encode(errors="ignore"), "a.txt")
    except InvalidArgument:
        return
    rest = list(document.text)
    for block in document.blocks:
        rest[block.start : block.end] = " " * (block.end - block.start)
    assert not "".join(rest).strip()


@pytest.mark.parametrize("piece", [f"{KOREAN}\n\n", "word ", "가", "a b. ", "- x\n"])
def test_the_number_of_estimates_grows_with_the_text_and_no_faster(piece: str) -> None:
    def estimated(times: int) -> int:
        seen = 0

        def estimate(text: str) -> float:
            nonlocal seen
            seen += len(text)
            return estimated_tokens(text)

        chunk(parsed(piece * times), SMALL, estimate)
        return seen

    assert estimated(8000) < 12 * estimated(1000)


LABELLED = "Q. {0}번 창고는 언제 여나요?\nA. {0}번 창고는 평일 아침 아홉 시에 열고 저녁 여섯 시에 닫습니다."
ABOVE = "{0}번 창고는 언제 여나요?\n{0}번 창고는 평일 아침 아홉 시에 열고 저녁 여섯 시에 닫습니다."
ENGLISH = (
    "Question {0}: When does store {0} open?\nAnswer: Store {0} opens at nine in the morning on weekdays, "
    "and closes at six in the evening."
)


@pytest.mark.parametrize(
    ("pair", "between"),
    [
        (LABELLED, "\n\n"),
        (LABELLED, "\n"),
        # Without labels, only a blank line shows where an answer ends.
        (ABOVE, "\n\n"),
        (ENGLISH, "\n\n"),
        (ENGLISH, "\n"),
    ],
)
def test_a_small_list_of_questions_is_cut_between_them(pair: str, between: str) -> None:
    pairs = [pair.format(number) for number in range(1, 6)]
    assert texts(chunk(parsed(between.join(pairs)))) == pairs


def test_a_small_document_of_many_sections_is_cut_by_them() -> None:
    source = "# 규정\n\n" + "".join(f"## {name}\n\n{KOREAN}\n\n" for name in "가나다라")
    chunks = chunk(parsed(source, "a.md"))
    assert [one.headings for one in chunks] == [("규정", name) for name in "가나다라"]


def test_prose_with_questions_stays_whole() -> None:
    source = " ".join(["왜 그런가요? 아무도 모릅니다."] * 6)
    assert texts(chunk(parsed(source))) == [source]
