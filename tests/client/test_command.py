"""The command `rag`, from its arguments to its output and exit code."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag_common import errors
from tests.client import replies
from tests.client.conftest import Rag
from tests.client.neighbour import TRACE, Neighbour, PlainRefusal, Silence


def test_a_given_token_is_sent_as_it_is(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("Search", replies.search("a"))
    rag("search", "연차", "--token", "given")
    assert neighbour.heard[0].metadata["authorization"] == "Bearer given"


def test_ask_prints_the_answer_its_sources_and_the_trace(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("StreamAnswer", replies.events())
    result = rag("ask", "연차는?", "--collection", "rules", "--mode", "dense")
    assert result.exit_code == 0
    assert result.stdout.startswith("15일입니다. [1]\n")
    for shown in ("[1] 취업 규칙", "휴가 · page 3", "“연차는 15일이다.”", "total 12.5 ms", TRACE):
        assert shown in result.stdout
    assert "\x1b" not in result.stdout


def test_ask_json_is_a_line_an_event(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("StreamAnswer", replies.events())
    lines = [json.loads(line) for line in rag("ask", "연차는?", "--json").stdout.splitlines()]
    names = ["started", "retrieved", "delta", "delta", "completed"]
    assert [line["event"] for line in lines] == names
    assert lines[-1]["answer"]["citations"][0]["document_id"] == "rules.md"


def test_ask_json_without_stream_is_one_object(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("Answer", replies.declined())
    found = json.loads(rag("ask", "연차는?", "--json", "--no-stream").stdout)
    assert (found["text"], found["skipped"]) == ("문서에 없습니다.", "weak_evidence")


def test_an_answer_that_was_withheld_replaces_what_was_streamed(
    rag: Rag, neighbour: Neighbour
) -> None:
    neighbour.says("StreamAnswer", replies.events(replies.declined()))
    assert "문서에 없습니다.\n" in rag("ask", "연차는?").stdout


def test_an_incomplete_answer_fails(rag: Rag, neighbour: Neighbour) -> None:
    cut = answers.Incomplete(reason="LENGTH", message="the answer is too long")
    end = answers.StreamAnswerResponse(incomplete=cut)
    neighbour.says("StreamAnswer", [*replies.events()[:4], end])
    result = rag("ask", "연차는?")
    assert result.exit_code == 1
    assert "too long (LENGTH)" in result.stderr


def test_an_error_is_one_sentence_with_reason_field_and_trace(
    rag: Rag, neighbour: Neighbour
) -> None:
    neighbour.says("Search", errors.InvalidArgument.of("retrieval.top_k", "1 to 100"))
    result = rag("search", "연차", "--top-k", "900")
    facts = f"(FIELD_INVALID, field retrieval.top_k, trace {TRACE})"
    assert result.stderr == f"rag: retrieval.top_k: 1 to 100 {facts}\n"
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize(
    "words", [("search",), ("search", "q", "--top-k", "-1"), ("ask", "q", "--mode", "fuzzy")]
)
def test_wrong_usage_ends_with_2(rag: Rag, words: tuple[str, ...]) -> None:
    assert rag(*words).exit_code == 2


def test_search_explains_itself(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("Search", replies.search("a"))
    result = rag("search", "연차", "--explain")
    for shown in ("0.9000", "0.800", "–", "연차", "취업 규칙", "terms"):
        assert shown in result.stdout
    assert neighbour.heard[0].request.explain


def test_documents_are_listed_shown_and_deleted(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("ListDocuments", replies.page("a", token="2"), replies.page("b"))
    neighbour.says("GetDocument", documents.GetDocumentResponse(document={"title": "규칙"}))
    neighbour.says("ListPassages", documents.ListPassagesResponse(passages=[{"text": "15일"}]))
    neighbour.says("DeleteDocument", documents.DeleteDocumentResponse(deleted_passages=4))
    listed = rag("documents", "--json").stdout.splitlines()
    assert [json.loads(line)["document_id"] for line in listed] == ["a", "b"]
    assert "15일" in rag("documents", "show", "a").stdout
    assert "4 passages" in rag("documents", "delete", "a").stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-c", "rules", "show", "a"), "rules"),
        (("show", "a", "-c", "rules"), "rules"),
        (("-c", "rules", "show", "a", "-c", "other"), "other"),
        (("show", "a"), "default"),
    ],
)
def test_a_collection_before_the_subcommand_holds_for_it(
    rag: Rag, neighbour: Neighbour, words: tuple[str, ...], expected: str
) -> None:
    neighbour.says("GetDocument", documents.GetDocumentResponse())
    neighbour.says("ListPassages", documents.ListPassagesResponse())
    rag("documents", *words)
    assert [heard.request.collection for heard in neighbour.heard] == [expected, expected]


def test_shared_options_before_the_subcommand_hold_for_it(
    rag: Rag, neighbour: Neighbour, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_TARGET", "127.0.0.1:1")
    neighbour.says("DeleteDocument", documents.DeleteDocumentResponse(deleted_passages=4))
    given = ("--target", target, "--token", "given", "--json")
    result = rag("documents", *given, "delete", "a")
    assert json.loads(result.stdout) == {"deleted_passages": 4}
    assert neighbour.heard[0].metadata["authorization"] == "Bearer given"


def test_a_gateway_that_is_away_is_said_so(rag: Rag, neighbour: Neighbour) -> None:
    neighbour.says("GetDocument", *[PlainRefusal(grpc.StatusCode.UNAVAILABLE)] * 3)
    result = rag("documents", "show", "a")
    assert (result.exit_code, result.stderr) == (
        1,
        "rag: the gateway does not answer (DEPENDENCY_DOWN)\n",
    )


@pytest.mark.parametrize(
    ("words", "method"), [(("ask", "q"), "StreamAnswer"), (("ingest", "."), "IngestDocument")]
)
def test_an_interrupt_cancels_the_call_and_ends_with_130(
    neighbour: Neighbour, target: str, tmp_path: Path, words: tuple[str, ...], method: str
) -> None:
    silence = Silence()
    neighbour.says(method, silence)
    (tmp_path / "a.txt").write_text("a")
    # Started in the background of a script, Python would have been told to ignore the interrupt.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}; from rag_client.command import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--target", target],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert silence.begun.wait(30)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "rag: interrupted\n")
    assert silence.ended.wait(10)
