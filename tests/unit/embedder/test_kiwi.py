"""What finds what: terms of Korean, English and other text, with the real Kiwi."""

import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_embedder.embedding.sparse import Bm25, SparseVector
from rag_embedder.runtimes.kiwi import KiwiAnalyzer
from tests.support.fuzz import examples


@pytest.fixture(scope="module")
def analyzer() -> KiwiAnalyzer:
    return KiwiAnalyzer()


@pytest.mark.parametrize(
    ("lemma", "forms"),
    [
        ("먹다", ["먹었다", "먹는", "먹으면", "먹어요"]),
        ("아름답다", ["아름다운", "아름다웠던", "아름답게"]),
        ("걷다", ["걸었다", "걷는", "걸어서"]),
    ],
)
def test_inflected_forms_share_their_lemma(
    analyzer: KiwiAnalyzer, lemma: str, forms: list[str]
) -> None:
    assert all(lemma in analyzer.terms(f"그는 {form} 길에서") for form in forms)


def test_particles_and_endings_are_no_terms(analyzer: KiwiAnalyzer) -> None:
    assert analyzer.terms("학교에서는 공부했습니다") == ["학교", "공부"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("형태소분석기의 성능", {"형태소", "분석기", "형태소분석기"}),
        ("애플워치를 샀다", {"애플", "워치", "애플워치"}),
    ],
)
def test_a_compound_is_found_whole_and_by_its_parts_also_from_the_dictionary(
    analyzer: KiwiAnalyzer, text: str, terms: set[str]
) -> None:
    assert terms <= set(analyzer.terms(text))


def test_spaces_in_a_compound_do_not_matter(analyzer: KiwiAnalyzer) -> None:
    assert {"국무", "회의"} <= set(analyzer.terms("국무회의")) & set(analyzer.terms("국무 회의"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GPT4는", {"gpt4", "gpt", "4"}),
        ("2026년에", {"2026", "년", "2026년"}),
        ("3.5%가", {"3.5"}),
        ("12,000원", {"12000", "원"}),
        ("Kubernetes에서", {"kubernet"}),
        ("ＧＰＴ４는", {"gpt4", "gpt", "4"}),
    ],
)
def test_latin_and_numbers_are_split_from_hangul(
    analyzer: KiwiAnalyzer, text: str, expected: set[str]
) -> None:
    assert expected <= set(analyzer.terms(text))


@pytest.mark.parametrize("text", ["2026.11.22", "10.0.0.1", "1,2,3", "1.", "1,000,00"])
def test_only_decimals_and_thousands_are_kept_together(analyzer: KiwiAnalyzer, text: str) -> None:
    parts = [term for term in analyzer.terms(text) if term.isdigit()]
    assert parts == re.findall(r"\d+", text)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("품목 ABX-1240의 안내", "abx-1240"),
        ("1.2.3판에서 고친 것", "1.2.3"),
        ("한빛-3호", "한빛-3"),
        ("C#으로 짠 모듈", "c#"),
        ("문의는 hr.help@example.com으로", "hr.help@example.com"),
    ],
)
def test_an_identifier_is_a_term_beside_its_parts(
    analyzer: KiwiAnalyzer, text: str, term: str
) -> None:
    assert analyzer.terms(text).count(term) == 1


def test_another_identifier_has_not_the_same_terms(analyzer: KiwiAnalyzer) -> None:
    requested = set(analyzer.terms("ABX-1240"))
    for other in ("ABX-12040", "ABX1240", "ABX-1240-R2", "AXB-1240"):
        assert not requested <= set(analyzer.terms(other))


@pytest.mark.parametrize("date", ["2026년 3월 5일", "2026.3.5", "2026/03/05", "March 5, 2026"])
def test_dates_meet_in_every_notation(analyzer: KiwiAnalyzer, date: str) -> None:
    assert "2026-03-05" in analyzer.terms(f"{date} 소방 훈련")
    assert "2026-03-05" not in analyzer.terms("2026년 5월 3일 소방 훈련")


def test_a_latin_word_has_the_same_terms_in_korean_text(analyzer: KiwiAnalyzer) -> None:
    english = analyzer.terms("running e5-small")
    assert english == analyzer.terms("running e5-small 은")[: len(english)]


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        *(
            ("학교", text)
            for text in ("학교에서 만났다", "학교는 멀다", "학교까지의 거리", "그 학교.")
        ),
        *(("京都", "東京都"), ("放送", "NHK放送局"), ("हिन्दी", "हिन्दी में"), ("МОСКВА", "москва")),
        ("SEOUL", "seoul"),
        ("city", "The Cities"),
        ("William", "william’s"),
        ("run", "running"),
        ("STRASSE", "Straße"),
        ("CAFÉ", "cafe\u0301"),
        ("cooperate", "co\u00adoperate"),
    ],
)
def test_particles_case_and_simple_inflection_do_not_matter_in_any_script(
    analyzer: KiwiAnalyzer, question: str, passage: str
) -> None:
    assert set(analyzer.terms(question)) & set(analyzer.terms(passage))


def test_english_words_without_a_topic_are_no_terms(analyzer: KiwiAnalyzer) -> None:
    assert analyzer.terms("What is the weather in Paris?") == ["weather", "pari"]


@pytest.mark.parametrize("name", ["WHO", "IT", "US"])
def test_names_in_capitals_are_terms(analyzer: KiwiAnalyzer, name: str) -> None:
    assert analyzer.terms(f"the {name} 지침")[0] == name.lower()


@pytest.mark.parametrize("text", ["", " \n", "?!… 🎉", "\ud800", "\u200b\ufeff", "\x00"])
def test_text_without_words_gives_an_empty_vector(analyzer: KiwiAnalyzer, text: str) -> None:
    bm25 = Bm25(analyzer)
    assert bm25.document(text) == bm25.query(text) == SparseVector()


@pytest.mark.parametrize("text", ["학교에서 공부했다", "각주와 값", "Café 서울"])
def test_decomposed_text_equals_composed(analyzer: KiwiAnalyzer, text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    assert analyzer.terms(decomposed) == analyzer.terms(text)


_JUNK = st.text(
    st.characters() | st.sampled_from("가각힣학교에서ㅋㄱa1.,'’ 水カ\u1100\u11a8\u200d")
)


@settings(max_examples=examples(100))
@given(text=_JUNK)
def test_any_text_has_words_for_terms(analyzer: KiwiAnalyzer, text: str) -> None:
    assert all(term and not term.isspace() for term in analyzer.terms(text))


@settings(max_examples=examples(50))
@given(text=_JUNK.filter(lambda text: text.isprintable()))
def test_any_decomposed_text_equals_composed(analyzer: KiwiAnalyzer, text: str) -> None:
    assert analyzer.terms(unicodedata.normalize("NFD", text)) == analyzer.terms(
        unicodedata.normalize("NFC", text)
    )


def test_unencodable_characters_hide_nothing(analyzer: KiwiAnalyzer) -> None:
    assert analyzer.terms("\ud800학교 \udc00seoul") == ["seoul", "학교"]


def test_threads_do_not_disturb_each_other(analyzer: KiwiAnalyzer) -> None:
    texts = [f"애플워치 {n}번 학교에서 running{n} cities" for n in range(60)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(analyzer.terms, texts)) == [analyzer.terms(t) for t in texts]
