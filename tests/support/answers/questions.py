"""Questions of our own over small documents of our own, and over the samples; half is held out.

A folder of `data` is a collection: its documents, and `questions.tsv` with language, kind, question
and answer as it stands in the document. Without an answer the documents do not have one; the kind
then says why it is close: another `entity`, another `column` of a table, or a missing `fact`.
"""

import csv
import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag_generator.evidence.selection import Extract
from tests.support.answers.chain import Chain, Embedding, entries

_HERE = Path(__file__).parent / "data"
_SAMPLES = Path(__file__).resolve().parents[3] / "samples"
COLLECTIONS = tuple(sorted(folder.name for folder in _HERE.iterdir() if folder.is_dir()))


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a collection; `answer` is empty if the documents do not answer it."""

    collection: str
    language: str
    kind: str
    text: str
    answer: str

    @property
    def held_out(self) -> bool:
        """Whether it is kept out of tuning: by a hash, so that it is so for ever."""
        return hashlib.sha256(f"{self.collection}/{self.text}".encode()).digest()[0] % 2 == 1


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a question."""

    question: Question
    extract: Extract

    @property
    def right(self) -> bool:
        """Whether the quotes hold the answer, shown or not."""
        held = " ".join(quote.text for quote in self.extract.quotes)
        return bool(self.question.answer) and _bare(self.question.answer) in _bare(held)

    @property
    def wrong(self) -> bool:
        """Whether something else was shown as the answer."""
        return self.extract.answered and not self.right


def questions() -> list[Question]:
    """All questions, collection by collection."""
    return [one for name in COLLECTIONS for one in _read(name)]


def chain(embedding: Embedding, collection: str) -> Chain:
    """The collection, ready to be asked."""
    files = sorted(path for path in _files(collection) if path.name != "questions.tsv")
    return Chain(
        embedding,
        [chunk for path in files for chunk in entries(path.name, path.read_bytes())],
    )


def _files(collection: str) -> Iterator[Path]:
    folder = _SAMPLES if collection == "samples" else _HERE / collection
    expected = {".md", ".txt", ".html", ".csv"}
    return (
        path for path in folder.rglob("*") if path.suffix in expected and path.name != "README.md"
    )


def _read(collection: str) -> Iterator[Question]:
    with (_HERE / collection / "questions.tsv").open(encoding="utf-8", newline="") as file:
        for language, kind, text, answer in csv.reader(
            file, delimiter="\t", quoting=csv.QUOTE_NONE
        ):
            yield Question(collection, language, kind, text, answer)


def _bare(text: str) -> str:
    return "".join(unicodedata.normalize("NFC", text).split())
