"""The collector's pipelines: their order, their bounds, and what they let pass."""

import ast
import re
from typing import Any

import pytest

from rag_common.settings import ServiceSettings
from tests.support.observability.deployed import CODE, WHOLE, filled, read
from tests.support.observability.haste import milliseconds
from tests.unit.common.test_redaction import HARMLESS, MARKS

COLLECTORS = ["collector.yaml", "loadbalancing.yaml"]


@pytest.mark.parametrize("whole", [WHOLE, *(read(f"collector/{name}") for name in COLLECTORS)])
def test_a_pipeline_names_components_that_exist_and_each_is_used(whole: Any) -> None:
    pipelines = whole["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines for name in pipeline[kind]} == set(whole[kind])
    assert set(whole["service"]["extensions"]) == set(whole["extensions"])


TEXT_OUT, TEXT_BACK = "transform/text_out", "transform/text_back"


@pytest.mark.parametrize("name", sorted(WHOLE["service"]["pipelines"]))
def test_memory_is_limited_first_then_all_is_redacted_and_batches_are_made_last(name: str) -> None:
    order = WHOLE["service"]["pipelines"][name]["processors"]
    redacted = {
        "traces": ["transform/content", TEXT_OUT, "redaction/spans", TEXT_BACK, "tail_sampling"],
        "metrics": [TEXT_OUT, "redaction/labels", TEXT_BACK],
    }.get(name, ["transform/content", TEXT_OUT, "redaction/lines", TEXT_BACK])
    assert order[: len(redacted) + 1] == ["memory_limiter", *redacted]
    assert order[-1] == "batch"


@pytest.mark.parametrize("policy", WHOLE["processors"]["tail_sampling"]["policies"])
def test_a_policy_has_the_options_of_its_type(policy: Any) -> None:
    assert set(policy) == {"name", "type", policy["type"]}


def test_failed_slow_and_degraded_traces_are_kept_and_a_share_of_the_others() -> None:
    policies = {p["type"]: p[p["type"]] for p in WHOLE["processors"]["tail_sampling"]["policies"]}
    assert policies["status_code"] == {"status_codes": ["ERROR"]}
    assert policies["latency"] == {"threshold_ms": 1000}
    degraded = policies["string_attribute"]
    assert (degraded["key"], degraded["enabled_regex_matching"]) == ("rag.degraded", True)
    assert [bool(re.search(degraded["values"][0], text)) for text in ("", "reranker")] == [
        False,
        True,
    ]
    assert "probabilistic" in policies


def test_a_trace_is_decided_when_a_call_without_a_deadline_has_ended() -> None:
    wait = milliseconds(filled(WHOLE["processors"]["tail_sampling"]["decision_wait"])) / 1000
    assert wait > ServiceSettings.model_fields["default_deadline"].default


def test_traces_that_wait_have_room_twice_over() -> None:
    sampling = WHOLE["processors"]["tail_sampling"]
    wait = milliseconds(filled(sampling["decision_wait"])) / 1000
    assert sampling["num_traces"] >= 2 * wait * sampling["expected_new_traces_per_sec"]


@pytest.mark.parametrize("name", sorted(WHOLE["exporters"]))
def test_every_queue_is_bounded_and_every_send_has_a_deadline(name: str) -> None:
    options = WHOLE["exporters"][name]
    queue = options.get("sending_queue") or options["remote_write_queue"]
    assert 0 < queue["queue_size"] <= 1000
    assert options["timeout"]


def test_in_front_of_replicas_a_trace_goes_to_one_of_them() -> None:
    balanced = read("collector/loadbalancing.yaml")
    assert balanced["exporters"]["load_balancing"]["routing_key"] == "traceID"
    assert balanced["service"]["pipelines"]["traces"]["exporters"] == ["load_balancing"]


def span_attributes() -> set[str]:
    """Names of attributes that the code gives to spans or resources."""
    named = re.compile(
        r"(?:rag|rpc|db|gen_ai|server|client|network|error|service|host|process|cloud|http|url)"
        r"(?:\.[a-z_]+)+"
    )
    result = set()
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                result |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                result.add(node.slice.value)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                (".set", "set_attribute")
            ):
                result |= {arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return {name for name in result if isinstance(name, str) and named.fullmatch(name)}


def test_only_named_attributes_pass_the_collector_and_all_of_the_services_are_named() -> None:
    rule = WHOLE["processors"]["redaction/spans"]
    assert rule["allow_all_keys"] is False
    attributes = span_attributes()
    assert {"rpc.method", "service.name", "rag.request_id"} <= attributes
    assert sorted(attributes - {*rule["allowed_keys"], *rule["ignored_keys"]}) == []


def content(signal: str, context: str) -> str:
    """The pattern of attributes that go unless capture is on."""
    groups = WHOLE["processors"]["transform/content"][f"{signal}_statements"]
    [group] = [group for group in groups if group["context"] == context]
    [statement] = [one for one in group["statements"] if one.startswith("delete_matching_keys")]
    result = re.fullmatch(
        rf'delete_matching_keys\({context}\.attributes, "(.+)"\) '
        r'where "\$\{env:COLLECTOR_CAPTURE:-off\}" != "on"',
        statement,
    )
    assert result
    return result[1].replace("\\\\", "\\")


@pytest.mark.parametrize("context", ["span", "spanevent"])
@pytest.mark.parametrize(
    "name", ["rag.question", "rag.answer", "gen_ai.input.messages", "gen_ai.output.messages"]
)
def test_content_goes_unless_its_capture_is_switched_on(context: str, name: str) -> None:
    assert re.search(content("trace", context), name)


def test_a_lines_content_and_an_events_traceback_go_too() -> None:
    assert re.search(content("log", "log"), "question")
    assert re.search(content("trace", "spanevent"), "exception.message")


@pytest.mark.parametrize("name", ["rag.answer.outcome", "rag.tenant", "gen_ai.request.model"])
def test_facts_do_not_go_with_the_content(name: str) -> None:
    assert not re.search(content("trace", "span"), name)


@pytest.mark.parametrize("rule", WHOLE["processors"]["redaction/lines"]["blocked_values"])
def test_a_pattern_is_one_that_re2_knows(rule: str) -> None:
    assert not re.search(r"\(\?[=!<]|\\[1-9]|[*+?}]\+", rule)


@pytest.mark.parametrize(
    ("label", "mark"), [(label, marks[0]) for label, marks in sorted(MARKS.items())]
)
def test_the_collector_knows_what_the_services_know(label: str, mark: str) -> None:
    rules = WHOLE["processors"]["redaction/spans"]["blocked_values"]
    # In RE2 a word is of ASCII letters, and a Korean particle ends it.
    assert any(re.search(rule, f"제 {mark}로", re.ASCII) for rule in rules), label


# RE2 cannot count a card's check digit, and a day of the month is any up to 31 to it.
@pytest.mark.parametrize("text", sorted(set(HARMLESS) - {"4111-1111-1111-1112", "900230-1234567"}))
def test_the_collector_leaves_what_is_harmless(text: str) -> None:
    rules = WHOLE["processors"]["redaction/spans"]["blocked_values"]
    assert not [rule for rule in rules if re.search(rule, text, re.ASCII)]


@pytest.mark.parametrize("name", ["password", "db_password", "token", "api_key", "authorization"])
def test_a_line_has_no_value_that_is_called_a_secret(name: str) -> None:
    [pattern] = WHOLE["processors"]["redaction/lines"]["blocked_key_patterns"]
    assert re.search(pattern, name)
    assert not re.search(pattern, "tokens")
