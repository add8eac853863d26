"""`rag eval` from end to end, against a neighbour that knows three documents."""

import json
from pathlib import Path
from typing import Any

import pytest

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import options_pb2 as options
from rag_cli.commands.evaluate import shown_command
from tests.support.client import replies
from tests.support.client.fixtures import Rag
from tests.support.client.neighbour import Neighbour

TEXTS = {"a": "서울은 수도이다.", "b": "부산은 항구이다.", "c": "제주는 섬이다."}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    corpus = [{"id": name, "text": text} for name, text in TEXTS.items()]
    queries = [
        {"id": f"q{name}", "text": name, "doc_ids": [name], "answers": [TEXTS[name][:2]]}
        for name in TEXTS
    ]
    for part, lines in (("corpus", corpus), ("queries", queries)):
        path = tmp_path / f"tiny_ko_{part}.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return tmp_path


@pytest.fixture
def knowing(neighbour: Neighbour) -> Neighbour:
    """Hybrid puts the document asked for first, dense second, and sparse does not know it."""
    model = answers.EmbeddingModel(model="tiny", fingerprint="f1")
    capable = answers.GetCapabilitiesResponse(embedding=model, generation_models=["extractive"])
    neighbour.always("GetCapabilities", lambda _: capable)
    neighbour.always("IngestDocument", lambda _: replies.ingested(passages=1))
    neighbour.always("Search", _search)
    neighbour.always("Answer", _answer)
    return neighbour


def _search(request: Any) -> answers.SearchResponse:
    requested = request.query
    others = [name for name in TEXTS if name != requested]
    match request.retrieval.mode:
        case options.RETRIEVAL_MODE_HYBRID:
            return replies.search(requested, requested, *others)
        case options.RETRIEVAL_MODE_DENSE:
            return replies.search(others[0], others[0], requested)
    return replies.search(*others)


def _answer(request: Any) -> answers.AnswerResponse:
    left_out = [text for part in request.retrieval.filter.must_not for text in part.any_of.values]
    if request.query in left_out or request.query == "c":
        return replies.declined()
    return replies.answer(quote=TEXTS[request.query])


def test_eval_ranks_by_document_and_compares_the_lists(
    rag: Rag, knowing: Neighbour, data: Path
) -> None:
    result = rag("eval", str(data), "--json", "--fusion", "rrf", "--answers", "3")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    [quality] = found["retrieval"]
    means = {name: values["MRR@10"]["mean"] for name, values in quality["systems"].items()}
    assert means == {"dense": 0.5, "sparse": 0.0, "hybrid": 1.0, "hybrid rrf": 1.0}
    assert quality["lead"]["better"] == "dense"
    [quality] = found["answers"]
    shares = [quality[name]["mean"] for name in ("evidenced", "declined", "declined_without")]
    assert shares == pytest.approx([2 / 3, 1 / 3, 1.0])


def test_eval_takes_in_each_passage_as_a_document_of_the_set(
    rag: Rag, knowing: Neighbour, data: Path
) -> None:
    rag("eval", str(data), "--limit", "1")
    heard = [item.request for item in knowing.calls("IngestDocument")]
    assert sorted(item.document.document_id for item in heard) == ["a", "b", "c"]
    assert {(item.collection, item.document.media_type) for item in heard} == {
        ("tiny_ko", "text/plain")
    }
    assert len(knowing.calls("Search")) == 3


def test_eval_writes_its_tables(rag: Rag, knowing: Neighbour, data: Path, tmp_path: Path) -> None:
    page = tmp_path / "quality.md"
    assert rag("eval", str(data), "--markdown", str(page)).exit_code == 0
    written = page.read_text(encoding="utf-8")
    assert "### tiny_ko (3 questions)" in written
    assert "| hybrid | 1.0000 [1.000, 1.000] |" in written


def test_the_command_of_a_page_holds_no_token() -> None:
    words = ["eval", "data", "--token", "secret", "--json"]
    assert shown_command(words) == "rag eval data --json"
    assert shown_command(["eval", "--token=secret", "a b"]) == "rag eval 'a b'"


@pytest.mark.parametrize("words", [("--sets", "nowhere"), ("--fusion", "sum")])
def test_eval_names_what_it_does_not_know(
    rag: Rag, knowing: Neighbour, data: Path, words: tuple[str, str]
) -> None:
    result = rag("eval", str(data), *words)
    assert result.exit_code in (1, 2)
    assert words[1] in result.stderr
