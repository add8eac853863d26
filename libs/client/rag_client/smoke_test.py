"""Tests a deployment as its user: `python -m rag_client.smoke_test`, configured like the command `rag`.

It uploads a Korean document with a fact that no other document has, asks for it, checks the answer's
citation, deletes the document, and checks that it is gone. Exit code 0 if all of it holds, else 1.
"""

import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rag_client.client.sync import Client
from rag_client.models.results import Answer
from rag_contract.errors import AppError, NotFound

# Region that answers must name; not checked if unset.
REGION = "RAG_REGION"
_COLLECTION = "smoke-test"
_SECONDS = 60.0
T = TypeVar("T")


class CheckFailed(Exception):
    """The deployment answered, and the answer is wrong; the message says what."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A document about a device whose name and price nothing else mentions, and a question about it."""

    name: str
    price: str

    @classmethod
    def new(cls) -> "Fact":
        number = uuid.uuid4().int
        price = f"{number // 10_000 % 900 + 100},{number % 9 * 100 + 50:03d}원"
        return cls(f"가온{number % 9000 + 1000}", price)

    @property
    def document_id(self) -> str:
        return f"smoke-test/{self.name}"

    @property
    def text(self) -> str:
        return (
            f"# {self.name} 안내\n\n{self.name} 측정기는 창고의 온도를 재는 장치입니다.\n\n"
            f"{self.name} 측정기의 월 사용료는 {self.price}입니다.\n"
        )

    @property
    def question(self) -> str:
        return f"{self.name} 측정기의 월 사용료는 얼마인가요?"


def _ignore(line: str) -> None:
    """Report nothing."""


def run(client: Client, region: str = "", report: Callable[[str], None] = _ignore) -> None:
    """Run all steps; `report` gets a line for each. Raises CheckFailed, and AppError for a failed call."""
    fact = Fact.new()
    try:
        _timed("upload", report, lambda: _upload(client, fact))
        _timed("answer", report, lambda: _ask(client, fact, region))
    finally:
        deleted = _timed("delete", report, lambda: _delete(client, fact))
    if not deleted:
        raise CheckFailed("the document had no passages when it was deleted")
    _timed("search after deletion", report, lambda: _check_gone(client, fact))


def _upload(client: Client, fact: Fact) -> None:
    ingested = client.ingest(
        fact.text.encode(),
        collection=_COLLECTION,
        document_id=fact.document_id,
        filename="smoke-test.md",
    )
    if not ingested.document.passage_count:
        raise CheckFailed("the uploaded document has no passages")


def _ask(client: Client, fact: Fact, region: str) -> Answer:
    answer = client.answer(fact.question, collections=[_COLLECTION])
    where = f"(trace {answer.trace_id})"
    if answer.skipped or fact.price not in answer.text:
        raise CheckFailed(f"the answer lacks {fact.price}: {answer.text!r} {where}")
    cited = {citation.document_id for citation in answer.citations}
    if cited != {fact.document_id}:
        raise CheckFailed(f"the answer cites {sorted(cited)} and not {fact.document_id} {where}")
    if region and answer.provenance.region != region:
        raise CheckFailed(f"region {answer.provenance.region!r} answered, not {region!r} {where}")
    return answer


def _delete(client: Client, fact: Fact) -> int:
    return client.delete_document(fact.document_id, collection=_COLLECTION)


def _check_gone(client: Client, fact: Fact) -> None:
    try:
        found = client.search(fact.question, collections=[_COLLECTION])
    except NotFound:
        return  # The collection had no other document.
    if any(one.passage.document_id == fact.document_id for one in found.passages):
        raise CheckFailed(f"the deleted document is found (trace {found.trace_id})")


def _timed(step: str, report: Callable[[str], None], action: Callable[[], T]) -> T:
    began = time.monotonic()
    result = action()
    trace = f" trace {result.trace_id}" if isinstance(result, Answer) else ""
    report(f"{step}: ok, {time.monotonic() - began:.2f} s{trace}")
    return result


def main() -> int:
    """Run the test with the client of the environment. Returns the exit code."""
    try:
        with Client.from_env(timeout=_SECONDS) as client:
            run(client, os.environ.get(REGION, ""), _print)
    except (AppError, CheckFailed, OSError, ValueError) as error:
        sys.stderr.write(f"smoke test failed: {type(error).__name__}: {error}\n")
        return 1
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
