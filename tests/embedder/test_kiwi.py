"""What finds what: terms of Korean, English and other text, with the real Kiwi."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_embedder.adapters.kiwi import KiwiAnalyzer
from rag_embedder.sparse import Bm25, SparseVector


@pytest.fixture(scope="module")
def analyzer() -> KiwiAnalyzer:
    return KiwiAnalyzer()


def _finds(analyzer: KiwiAnalyzer, question: str, passage: str) -> bool:
    return bool(set(analyzer.terms(question)) & set(analyzer.terms(passage)))


@pytest.mark.parametrize(
    "passage", ["학교에서 만났다", "학교는 멀다", "학교까지의 거리", "그 학교."]
)
def test_a_bare_noun_finds_the_noun_with_particles(analyzer: KiwiAnalyzer, passage: str) -> None:
    assert _finds(analyzer, "학교", passage)


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


def test_a_verb_made_of_a_noun_is_found_by_the_noun(analyzer: KiwiAnalyzer) -> None:
    assert _finds(analyzer, "주도", "시위를 주도한 혐의")


def test_particles_and_endings_are_no_terms(analyzer: KiwiAnalyzer) -> None:
    assert analyzer.terms("학교에서는 공부했습니다") == ["학교", "공부"]


@pytest.mark.parametrize("part", ["형태소", "분석기", "형태소분석기"])
def test_a_compound_is_found_whole_and_by_its_parts(analyzer: KiwiAnalyzer, part: str) -> None:
    assert part in analyzer.terms("형태소분석기의 성능")


@pytest.mark.parametrize("part", ["애플", "워치", "애플워치"])
def test_a_compound_in_the_dictionary_is_split_too(analyzer: KiwiAnalyzer, part: str) -> None:
    assert part in analyzer.terms("애플워치를 샀다")


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
    assert all(term.isdigit() for term in analyzer.terms(text))


def test_a_latin_word_has_the_same_terms_in_korean_text(analyzer: KiwiAnalyzer) -> None:
    english = analyzer.terms("running e5-small")
    assert english == analyzer.terms("running e5-small 은")[: len(english)]


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("SEOUL", "seoul"),
        ("city", "The Cities"),
        ("William", "william’s"),
        ("run", "running"),
        ("STRASSE", "Straße"),
        ("CAFÉ", "cafe\u0301"),
        ("cooperate", "co\u00adoperate"),
    ],
)
def test_case_and_simple_inflection_do_not_matter(
    analyzer: KiwiAnalyzer, question: str, passage: str
) -> None:
    assert _finds(analyzer, question, passage)


def test_english_words_without_a_topic_are_no_terms(analyzer: KiwiAnalyzer) -> None:
    assert analyzer.terms("What is the weather in Paris?") == ["weather", "pari"]


@pytest.mark.parametrize("name", ["WHO", "IT", "US"])
def test_names_in_capitals_are_terms(analyzer: KiwiAnalyzer, name: str) -> None:
    assert analyzer.terms(f"the {name} 지침")[0] == name.lower()


@pytest.mark.parametrize(
    ("question", "passage"),
    [("京都", "東京都"), ("放送", "NHK放送局"), ("हिन्दी", "हिन्दी में"), ("МОСКВА", "москва")],
)
def test_other_scripts_are_found(analyzer: KiwiAnalyzer, question: str, passage: str) -> None:
    assert _finds(analyzer, question, passage)


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


@settings(max_examples=300, deadline=None)
@given(text=_JUNK)
def test_any_text_has_words_for_terms(analyzer: KiwiAnalyzer, text: str) -> None:
    assert all(term and not term.isspace() for term in analyzer.terms(text))


@settings(max_examples=100, deadline=None)
@given(text=_JUNK.filter(lambda text: text.isprintable()))
def test_any_decomposed_text_equals_composed(analyzer: KiwiAnalyzer, text: str) -> None:
    assert analyzer.terms(unicodedata.normalize("NFD", text)) == analyzer.terms(
        unicodedata.normalize("NFC", text)
    )


def test_unencodable_characters_hide_nothing(analyzer: KiwiAnalyzer) -> None:
    assert analyzer.terms("\ud800학교 \udc00seoul") == ["seoul", "학교"]


def test_threads_do_not_disturb_each_other(analyzer: KiwiAnalyzer) -> None:
    texts = [f"애플워치 {n}번 학교에서 running{n} cities" for n in range(200)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(analyzer.terms, texts)) == [analyzer.terms(t) for t in texts]
