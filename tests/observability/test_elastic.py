"""A log line on its way into Elasticsearch, and what Kibana asks for."""

import ast
import json
import re
from datetime import datetime
from typing import Any

import pytest
import structlog

from rag_common.context import CALL, Call, Principal, Trace
from tests.common.test_redaction import HARMLESS, MARKS
from tests.observability import ingest
from tests.observability.deployed import CODE, PIPELINE, SAVED, TEMPLATE, read
from tests.rpc import logged

log = structlog.get_logger()


def line(event: str, **facts: object) -> dict[str, Any]:
    """A line as a service writes it inside a call, as Filebeat sends it."""
    call = Call("r-1", Trace.new(), 0.0, principal=Principal("kim", "acme", frozenset()))
    token = CALL.set(call)
    try:
        with logged() as lines:
            log.info(event, **facts)
    finally:
        CALL.reset(token)
    [written] = lines.of(event)
    return {"@timestamp": "2026-01-01T00:00:00+00:00", "rag": written}


def mapped(path: str) -> str | None:
    """The type that a field has in the index, of itself or of the object that takes in all below it."""
    properties = TEMPLATE["template"]["mappings"]["properties"]
    for name in path.split("."):
        field = properties.get(name)
        if field is None or "type" in field:
            return field and str(field["type"])
        properties = field["properties"]
    return None


def leaves(document: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        path = f"{above}{name}"
        found |= leaves(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found


def logged_fields() -> set[str]:
    """Every key that the services give to a log line."""
    found = set()
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and re.match(
                r"(?:self\.)?_?log\.", ast.unparse(node.func)
            ):
                found |= {word.arg for word in node.keywords if word.arg}
    return found - {"exc_info"}


def test_a_calls_line_becomes_fields_of_the_common_schema() -> None:
    sent = line("call", method="rag.gateway.v1.AnswerService/Search", code="OK", ms=12.34)
    made = ingest.run(PIPELINE, sent)
    assert made["trace"]["id"] == sent["rag"]["trace_id"]
    assert datetime.fromisoformat(made["@timestamp"]) == datetime.fromisoformat(
        sent["rag"]["timestamp"]
    )
    assert made["event"] == {
        "action": "call",
        "duration": 12_340_000,
        "outcome": "success",
        "kind": "event",
        "dataset": "rag.services",
    }
    assert made["service"] == {"name": "rag-echo"}
    assert made["log"] == {"level": "info"}
    assert made["rpc"] == {"method": "rag.gateway.v1.AnswerService/Search", "code": "OK"}
    assert made["organization"] == {"id": "acme"}
    assert made["http"] == {"request": {"id": "r-1"}}


def test_a_failed_call_is_a_failure_with_its_reason() -> None:
    made = ingest.run(PIPELINE, line("call", code="UNAVAILABLE", ms=3, reason="DEPENDENCY_DOWN"))
    assert (made["event"]["outcome"], made["event"]["reason"]) == ("failure", "DEPENDENCY_DOWN")


@pytest.mark.parametrize(
    ("outcome", "seen"), [("done", "success"), ("refused", "failure"), ("failed", "failure")]
)
def test_an_audited_deed_has_its_outcome_and_who_did_it(outcome: str, seen: str) -> None:
    made = ingest.run(
        PIPELINE, line("api_key_created", logger="audit", outcome=outcome, subject="kim")
    )
    assert (made["event"]["outcome"], made["event"]["category"]) == (seen, ["iam"])
    assert made["user"] == {"id": "kim"}


@pytest.mark.parametrize("name", sorted(logged_fields()))
def test_every_key_that_is_logged_has_a_field(name: str) -> None:
    made = leaves(ingest.run(PIPELINE, line("odd", **{name: 5 if name == "ms" else "x"})))
    assert [path for path in made if mapped(path) is None] == []


def test_there_are_logged_keys_to_look_for() -> None:
    assert {"method", "code", "ms", "error", "fingerprint"} <= logged_fields()


def test_an_unknown_key_makes_no_new_field() -> None:
    assert TEMPLATE["template"]["mappings"]["dynamic"] is False
    assert mapped("rag.never_seen.before") == "flattened"


def test_a_traceback_is_a_stack_trace() -> None:
    made = ingest.run(PIPELINE, line("failed", exception="Traceback ...\nValueError: x"))
    assert made["error"]["stack_trace"].endswith("ValueError: x")


@pytest.mark.parametrize("field", ["message", "rag.event", "rag.exception"])
@pytest.mark.parametrize(
    ("label", "mark"),
    [(label, marks[0]) for label, marks in sorted(MARKS.items())],
)
def test_what_slipped_through_is_redacted_once_more(field: str, label: str, mark: str) -> None:
    document: dict[str, Any] = {}
    ingest.put(document, field, f"제 {mark}로 연락")
    assert mark not in json.dumps(ingest.run(PIPELINE, document), ensure_ascii=False)


@pytest.mark.parametrize("text", HARMLESS[:16])
def test_ids_and_times_are_not_redacted_there(text: str) -> None:
    assert ingest.run(PIPELINE, {"message": text})["message"] == text


def test_a_line_that_is_no_json_is_kept_as_a_message() -> None:
    assert ingest.run(PIPELINE, {"message": "Killed"})["message"] == "Killed"


def test_a_line_that_does_not_fit_is_kept_and_marked() -> None:
    made = ingest.run(PIPELINE, {"rag": {"event": "call", "timestamp": "yesterday"}})
    assert made["event"]["kind"] == "pipeline_error"
    assert made["tags"] == ["pipeline_error"]
    assert made["rag"]["event"] == "call"


def test_filebeat_writes_where_the_template_reaches_and_kibana_looks() -> None:
    index = read("filebeat/filebeat.yml")["output.elasticsearch"]["index"]
    [pattern] = TEMPLATE["index_patterns"]
    [view] = [one for one in SAVED if one["type"] == "index-pattern"]
    assert re.fullmatch(pattern.replace("*", ".+"), index)
    assert view["attributes"]["title"] == pattern


def test_filebeat_puts_a_line_where_the_pipeline_takes_it_from() -> None:
    for source in read("filebeat/filebeat.yml")["filebeat.inputs"]:
        assert source["parsers"][-1]["ndjson"]["target"] == "rag"


@pytest.mark.parametrize("saved", SAVED, ids=lambda saved: str(saved["id"]))
def test_a_saved_object_refers_to_what_is_there(saved: Any) -> None:
    known = {(one["type"], one["id"]) for one in SAVED}
    assert {(one["type"], one["id"]) for one in saved["references"]} <= known


@pytest.mark.parametrize(
    "saved", [one for one in SAVED if one["type"] == "search"], ids=lambda saved: str(saved["id"])
)
def test_a_search_asks_for_fields_that_are_mapped(saved: Any) -> None:
    source = json.loads(saved["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    asked = re.findall(r"([a-z_.]+) (?::|>=)", source["query"]["query"])
    assert asked
    assert [f for f in [*asked, *saved["attributes"]["columns"]] if mapped(f) is None] == []


def test_the_dashboard_shows_its_references() -> None:
    [board] = [one for one in SAVED if one["type"] == "dashboard"]
    panels = json.loads(board["attributes"]["panelsJSON"])
    assert {f"{p['panelIndex']}:{p['panelRefName']}" for p in panels} == {
        one["name"] for one in board["references"]
    }
