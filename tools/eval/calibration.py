"""Answers to our own questions, in one process: calibrate.py [docs/quality.md], and the constants' fit.

`python -m tools.eval.calibration` writes the section on our own questions into the page; with
`--fit FOLDER` it fits the constants of rag_generator/evidence/confidence.py on the halves that are for that
(our questions that are not held out; KorQuAD's questions outside the sample that `rag eval` asks).
"""

import argparse
import os
import random
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.support.answers.chain import Chain, Embedding, entries
from tests.support.answers.questions import COLLECTIONS, Result, chain, questions
from tests.support.answers.reliability import HEAD, section

from rag_cli.evaluation.answers import sample
from rag_cli.evaluation.sets import EvaluationSet, discover
from rag_generator.evidence.confidence import features
from rag_generator.evidence.relevance import relevance
from rag_generator.evidence.selection import answer, best
from rag_generator.evidence.sentences import Passage

_Row = tuple[tuple[float, ...], bool, float]
_Array = NDArray[np.float64]

# Coefficients that the data cannot tell stay near these, with the weight of so many answers.
_PRIOR = (5.0, 2.0, 1.0, -3.0, -3.0, -2.0, -6.0, -3.0, -2.0)
_STRENGTH = (0.5, 0.5, 0.5, 3.0, 10.0, 6.0, 1.0, 400.0, 8.0)
# What one of our questions counts beside one of KorQuAD's, and one of those without its passage.
_OWN, _WITHOUT = 3.0, 1.0
_KORQUAD, _ASKED, _SAMPLED, _SEED = "korquad_ko", 700, 500, 7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", default="docs/quality.md", type=Path)
    parser.add_argument("--fit", type=Path, help="folder of the KorQuAD set")
    inputs = parser.parse_args()
    embedding = Embedding(Path(os.environ.get("EMBEDDER_MODELS_DIR", ".rag/models")))
    if inputs.fit:
        rows = [*_own_rows(embedding), *_korquad_rows(embedding, inputs.fit)]
        *coefficients, intercept = _fitted(rows)
        sys.stdout.write(f"{[round(value, 2) for value in coefficients]} {intercept:.2f}\n")
        return 0
    chains = {name: chain(embedding, name) for name in COLLECTIONS}
    results = [Result(one, chains[one.collection].ask(one.text)) for one in questions()]
    before = inputs.page.read_text("utf-8").partition(f"\n{HEAD}")[0].rstrip()
    inputs.page.write_text(f"{before}\n\n{section(results)}", "utf-8")
    return 0


def _own_rows(embedding: Embedding) -> Iterator[_Row]:
    for name in COLLECTIONS:
        requested = [one for one in questions() if one.collection == name and not one.held_out]
        collection = chain(embedding, name)
        for one in requested:
            passages = collection.passages(one.text)
            right = Result(one, answer(one.text, passages)).right
            yield from _row(one.text, passages, right, _OWN)


def _korquad_rows(embedding: Embedding, folder: Path) -> Iterator[_Row]:
    [chosen] = discover(folder, [_KORQUAD])
    chunks = [
        chunk
        for entry in chosen.corpus
        for chunk in entries(entry.id, entry.text.encode(), entry.title, "text/plain")
    ]
    collection = Chain(embedding, chunks)
    for query in _outside(chosen):
        inputs = collection.passages(query.text)
        quotes = answer(query.text, inputs).quotes
        right = any(_bare(text) in _bare(one.text) for one in quotes for text in query.answers)
        yield from _row(query.text, inputs, right, 1.0 if right else _WITHOUT)
        left = collection.passages(query.text, query.doc_ids)
        yield from _row(query.text, left, False, _WITHOUT)


def _outside(chosen: EvaluationSet) -> list[Any]:
    """Questions that the evaluation's own sample does not ask."""
    requested = {query.id for query in sample(chosen, _SAMPLED)}
    rest = [query for query in chosen.queries if query.answers and query.id not in requested]
    return random.Random(_SEED).sample(rest, min(_ASKED, len(rest)))  # noqa: S311


def _row(question: str, passages: Sequence[Passage], right: bool, weight: float) -> Iterator[_Row]:
    weighed = relevance(question, passages)
    if weighed.candidates:
        yield astuple(features(question, weighed, best(weighed))), right, weight


def _fitted(rows: Sequence[_Row]) -> _Array:
    """Logistic regression by Newton's method, with a normal prior on the coefficients."""
    inputs: _Array = np.array([[*values, 1.0] for values, _, _ in rows])
    right: _Array = np.array([float(right) for _, right, _ in rows])
    weights: _Array = np.array([weight for _, _, weight in rows])
    prior: _Array = np.array([*_PRIOR, 0.0])
    strength: _Array = np.array([*_STRENGTH, 1e-6])
    result: _Array = np.zeros(len(prior))
    for _ in range(200):
        output = 1.0 / (1.0 + np.exp(-inputs @ result))
        slope = inputs.T @ (weights * (right - output)) - strength * (result - prior)
        curve = (inputs * (weights * output * (1.0 - output))[:, None]).T @ inputs + np.diag(
            strength
        )
        result += np.clip(np.linalg.solve(curve, slope), -1.0, 1.0)
    return result


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())


if __name__ == "__main__":
    sys.exit(main())
