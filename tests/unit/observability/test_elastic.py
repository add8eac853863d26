"""A log line on its way into Elasticsearch, and what Kibana asks for."""

import ast
import json
import re
from functools import cache
from typing import Any

import pytest

from tests.support.observability.deployed import CODE, PIPELINE, SAVED, TEMPLATE, read
from tests.unit.common.test_redaction import HARMLESS, MARKS

PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    item for processor in PIPELINE["processors"] for item in processor.items()
]
REDACTED = ("message", "rag.event", "rag.exception")
# Keys that every line has, every line within a call, or every line of the audit log.
COMMON = {
    "timestamp", "event", "level", "logger", "service", "trace_id", "span_id", "request_id", "tenant",
    "subject", "exception", "address", "region",
}  # fmt: skip


def options(kind: str) -> list[dict[str, Any]]:
    """The options of the pipeline's processors of a kind."""
    return [each for name, each in PROCESSORS if name == kind]


def mapped(path: str) -> str | None:
    """The type that a field has in the index, of itself or of the object that takes in all below it."""
    properties = TEMPLATE["template"]["mappings"]["properties"]
    for name in path.split("."):
        field = properties.get(name)
        if field is None or "type" in field:
            return field and str(field["type"])
        properties = field["properties"]
    return None


@cache
def logged_fields() -> set[str]:
    """Every key that the services give to a log line."""
    result = set()
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and re.match(
                r"(?:self\.)?_?log\.", ast.unparse(node.func)
            ):
                result |= {word.arg for word in node.keywords if word.arg}
    return result - {"exc_info"}


def test_lines_are_redacted_before_anything_is_copied_from_them() -> None:
    kinds = [kind for kind, _ in PROCESSORS]
    redactions = kinds.count("gsub")
    assert kinds[:redactions] == ["gsub"] * redactions
    assert {each["field"] for each in options("gsub")} == set(REDACTED)


@pytest.mark.parametrize("field", REDACTED)
@pytest.mark.parametrize(
    ("label", "mark"), [(label, marks[0]) for label, marks in sorted(MARKS.items())]
)
def test_what_slipped_through_is_redacted_once_more(field: str, label: str, mark: str) -> None:
    assert mark not in redacted(f"제 {mark}로 연락", field)


@pytest.mark.parametrize("text", HARMLESS[:16])
def test_ids_and_times_are_not_redacted_there(text: str) -> None:
    assert redacted(text, "message") == text


def redacted(text: str, field: str) -> str:
    """The text as the patterns for the field leave it; Java's \\s and \\b know ASCII only, as here."""
    for each in options("gsub"):
        if each["field"] == field:
            text = re.sub(each["pattern"], each["replacement"], text, flags=re.ASCII)
    return text


@pytest.mark.parametrize("rename", options("rename"), ids=lambda rename: str(rename["field"]))
def test_a_key_that_is_renamed_is_one_that_the_services_log(rename: dict[str, Any]) -> None:
    assert rename["ignore_missing"] is True
    assert {"method", "code", "ms", "error", "fingerprint"} <= (fields := logged_fields())
    assert rename["field"].removeprefix("rag.") in fields | COMMON


@pytest.mark.parametrize(
    "field",
    [each.get("target_field") or each["field"] for each in (*options("rename"), *options("set"))],
)
def test_every_field_that_the_pipeline_writes_is_mapped(field: str) -> None:
    assert mapped(field)


def test_the_moment_is_the_services_and_not_that_of_reading() -> None:
    [date] = options("date")
    assert (date["field"], date["formats"]) == ("rag.timestamp", ["ISO8601"])
    assert mapped("@timestamp") == "date"


def test_the_duration_is_counted_in_nanoseconds_from_the_logged_milliseconds() -> None:
    [script] = options("script")
    assert re.search(r"ctx\.event\.duration = .*ctx\.rag\.ms.*\* 1000000\.0", script["source"])
    assert mapped("event.duration") == "long"


def test_an_unknown_key_makes_no_new_field() -> None:
    assert TEMPLATE["template"]["mappings"]["dynamic"] is False
    assert mapped("rag.never_seen.before") == "flattened"


def test_a_line_that_does_not_fit_is_kept_and_marked() -> None:
    assert {"set": {"field": "event.kind", "value": "pipeline_error"}} in PIPELINE["on_failure"]
    assert {"append": {"field": "tags", "value": ["pipeline_error"]}} in PIPELINE["on_failure"]
    assert mapped("tags") == "keyword"


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
    requested = re.findall(r"([a-z_.]+) (?::|>=)", source["query"]["query"])
    assert requested
    assert [f for f in [*requested, *saved["attributes"]["columns"]] if mapped(f) is None] == []


def test_the_dashboard_shows_its_references() -> None:
    [board] = [one for one in SAVED if one["type"] == "dashboard"]
    panels = json.loads(board["attributes"]["panelsJSON"])
    assert {f"{p['panelIndex']}:{p['panelRefName']}" for p in panels} == {
        one["name"] for one in board["references"]
    }
