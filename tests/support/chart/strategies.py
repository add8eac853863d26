"""Values of the chart that its schema allows, made at random."""

from typing import Any

from hypothesis import strategies as st
from tools.chart.schema import values_schema

Schema = dict[str, Any]
Overlay = dict[str, Any]

SCHEMA = values_schema()
# Kubernetes' own objects, which are passed on as they are, and values of Qdrant's chart.
PASSED_ON = {
    "nodeSelector",
    "tolerations",
    "affinity",
    "behavior",
    "egress",
    "to",
    "global",
    "qdrant",
}
# Free text for other programs, and names of which only some work together.
_FIXED = {"steps", "failures", "behavior"}
# Each sets the other kind to null, as the values files may have it.
_REFERENCES = [
    {"vault": "a/b#c", "secret": None},
    {"vault": None, "secret": {"name": "some", "key": "key"}},
]
_ASCII = st.characters(codec="ascii", categories=("L", "N", "P"))


def overlays(size: int = 6) -> st.SearchStrategy[Overlay]:
    """Values at up to `size` paths."""
    paths = leaves(SCHEMA, ())
    return st.lists(st.sampled_from(paths), min_size=1, max_size=size, unique=True).flatmap(
        lambda chosen: st.tuples(*(values(at(path)) for path in chosen)).map(
            lambda drawn: together(dict(zip(chosen, drawn, strict=True)))
        )
    )


def leaves(node: Schema, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The paths of all values that are no objects with properties."""
    node = resolved(node)
    if path and path[-1] in PASSED_ON | _FIXED:
        return []
    if "properties" not in node or "oneOf" in node:
        return [path]
    return [
        leaf for name, child in node["properties"].items() for leaf in leaves(child, (*path, name))
    ]


def at(path: tuple[str, ...]) -> Schema:
    """The schema at a path."""
    node = SCHEMA
    for step in path:
        node = resolved(node)["properties"][step]
    return resolved(node)


def values(node: Schema) -> st.SearchStrategy[Any]:
    """Values that a schema allows."""
    node = resolved(node)
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "oneOf" in node:
        return st.sampled_from(_REFERENCES)
    kind = node["type"] if isinstance(node["type"], str) else node["type"][0]
    return _KINDS[kind](node)


def resolved(node: Schema) -> Schema:
    """A schema with what it refers to."""
    if "$ref" not in node:
        return node
    target: Schema = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    return {**resolved(target), **{key: value for key, value in node.items() if key != "$ref"}}


def together(drawn: dict[tuple[str, ...], Any]) -> Overlay:
    """Values by path as a tree."""
    result: Overlay = {}
    for path, value in drawn.items():
        place = result
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = value
    return result


def _text(node: Schema) -> st.SearchStrategy[Any]:
    low, high = node.get("minLength", 0), node.get("maxLength", 200)
    if pattern := node.get("pattern"):
        return st.from_regex(pattern, fullmatch=True, alphabet=_ASCII).filter(
            lambda one: len(one) <= high
        )
    return st.text(
        st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=low, max_size=high
    )


def _arrays(node: Schema) -> st.SearchStrategy[Any]:
    return st.lists(
        values(node["items"]), min_size=node.get("minItems", 0), max_size=3, unique_by=str
    )


def _numbers(node: Schema) -> st.SearchStrategy[Any]:
    low, high = node.get("minimum", node.get("exclusiveMinimum", 0)), node.get("maximum", 10**9)
    return st.floats(low, high, exclude_min="exclusiveMinimum" in node, width=32)


def _objects(node: Schema) -> st.SearchStrategy[Any]:
    if "properties" in node:
        return st.fixed_dictionaries(
            {name: values(child) for name, child in node["properties"].items()}
        )
    names = st.from_regex(r"[a-z]{1,8}\.toml", fullmatch=True)
    if "required" in node:
        return st.fixed_dictionaries({name: st.just("1") for name in node["required"]})
    if "not" in node.get("propertyNames", {}):
        names = st.sampled_from(["OTEL_LOGS_EXPORTER", "OTEL_RESOURCE_ATTRIBUTES", "TZ"])
    own = node.get("additionalProperties")
    parts = values(own) if isinstance(own, dict) and "properties" in own else st.text(_ASCII)
    return st.dictionaries(names, parts, min_size=node.get("minProperties", 0), max_size=2)


_KINDS = {
    "string": _text,
    "boolean": lambda _: st.booleans(),
    "integer": lambda node: st.integers(node.get("minimum", 0), node.get("maximum", 2**31)),
    "number": _numbers,
    "array": _arrays,
    "object": _objects,
}
