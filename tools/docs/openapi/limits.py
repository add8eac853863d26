"""The gateway's limits of requests in the words of JSON Schema."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor

from rag_gateway.api.validation.limits import LIMITS
from rag_gateway.api.validation.rules import (
    Choice,
    Content,
    ListRule,
    MessageRule,
    Pattern,
    Rule,
    Text,
)


def limits(requests: list[Descriptor]) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Keywords of fields, and the fields that must be set, all by full name.

    Raises KeyError for a request or a field that has no limit of its name, and ValueError where two
    requests limit the same field of a message in two ways: its schema can say only one.
    """
    keywords: dict[str, dict[str, Any]] = {}
    needed: set[str] = set()
    for request in requests:
        _walk(request, LIMITS[request.full_name].fields, keywords, needed)
    return keywords, needed


def _walk(
    kind: Descriptor,
    rules: Mapping[str, Rule],
    keywords: dict[str, dict[str, Any]],
    needed: set[str],
) -> None:
    for name, rule in rules.items():
        field = kind.fields_by_name[name]
        found = _keywords(rule)
        if keywords.setdefault(field.full_name, found) != found:
            raise ValueError(
                f"{field.full_name} has two limits: {found}, {keywords[field.full_name]}"
            )
        if rule.required:
            needed.add(field.full_name)
        one = rule.each if isinstance(rule, ListRule) else rule
        if isinstance(one, MessageRule) and field.message_type:
            _walk(field.message_type, one.fields, keywords, needed)


def _keywords(rule: Rule) -> dict[str, Any]:
    match rule:
        case MessageRule() | Choice():
            return {}  # the message's or the enum's own schema says it
        case ListRule():
            return {**rule.schema(), "items": _keywords(rule.each)}
        case Text(pattern=Pattern() as rule_pattern):
            whole = f"({_escaped(rule_pattern.pattern.pattern)})"
            result = {key: value for key, value in rule.schema().items() if key != "description"}
            return {**result, "pattern": f"^{whole}$" if rule.required else f"^{whole}?$"}
        case Text(required=True):
            return {**rule.schema(), "pattern": r"\S"}
        case Content(required=True):
            return {**rule.schema(), "minLength": 1}
        case _:
            return rule.schema()


def _escaped(pattern: str) -> str:
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in pattern)
