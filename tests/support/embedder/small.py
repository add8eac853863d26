"""Small models with random weights, saved as sentence-transformers saves its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from rag_embedder.models.weights import Shape

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "cat", "dog", "bird"]
SMALL = Shape(64, 2, 4, 128, len(WORDS), 32, 2, 1e-12)


def bi_encoder(
    directory: Path,
    pooling: str,
    shape: Shape = SMALL,
    flaw: Callable[[BertModel], None] = lambda _model: None,
) -> Path:
    """A random model, saved in `directory` for sentence-transformers after `flaw` changed it."""
    encoder = directory / "encoder"
    model = BertModel(config(shape))
    flaw(model)
    model.save_pretrained(encoder)
    word_tokenizer().save_pretrained(encoder)
    transformer = Transformer(str(encoder))
    pool = Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)
    SentenceTransformer(modules=[transformer, pool], device="cpu").save(str(directory / "model"))
    return directory / "model"


def config(shape: Shape = SMALL, **options: object) -> BertConfig:
    """The configuration of a BERT model of this shape."""
    return BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.positions,
        **options,
    )


def word_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are WORDS."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    )
