"""An Elasticsearch ingest pipeline, run here: the processors and conditions that ours uses, and no other."""

import copy
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Document = dict[str, Any]

# Painless is not run: what is said in it stands here once more. An unknown text fails.
_CONDITIONS: dict[str, Callable[[Document], bool]] = {
    "ctx.rag?.timestamp != null": lambda d: get(d, "rag.timestamp") is not None,
    "ctx.rag?.event != null": lambda d: get(d, "rag.event") is not None,
    "ctx.rag?.service != null": lambda d: get(d, "rag.service") is not None,
    "ctx.rag?.ms != null": lambda d: get(d, "rag.ms") is not None,
    "ctx.log?.logger == 'audit'": lambda d: get(d, "log.logger") == "audit",
    "ctx.rpc?.code == 'OK' || ctx.rag?.outcome == 'done'": lambda d: (
        get(d, "rpc.code") == "OK" or get(d, "rag.outcome") == "done"
    ),
    "ctx.rpc?.code != null && ctx.rpc.code != 'OK' || ctx.rag?.outcome == 'refused' "
    "|| ctx.rag?.outcome == 'failed'": lambda d: (
        get(d, "rpc.code") not in (None, "OK") or get(d, "rag.outcome") in ("refused", "failed")
    ),
}
_SCRIPTS: dict[str, Callable[[Document], None]] = {
    "ctx.event.duration = Math.round(((Number) ctx.rag.ms).doubleValue() * 1000000.0)": lambda d: (
        put(d, "event.duration", round(float(get(d, "rag.ms")) * 1_000_000))
    ),
}


class Failed(Exception):
    """A processor would have failed."""


def get(document: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def put(document: Document, path: str, value: Any) -> None:
    """Set the value at a dotted path, with objects on the way. Raises Failed."""
    *parents, last = path.split(".")
    for name in parents:
        document = document.setdefault(name, {})
        if not isinstance(document, dict):
            raise Failed(f"{path}: {name} is no object")
    document[last] = value


def run(pipeline: Mapping[str, Any], document: Document) -> Document:
    """What is indexed for a document."""
    made = copy.deepcopy(document)
    try:
        for processor in pipeline["processors"]:
            _apply(processor, made)
    except Failed as error:
        put(made, "_ingest", {"on_failure_message": str(error), "on_failure_processor_type": "?"})
        for processor in pipeline["on_failure"]:
            _apply(processor, made)
        del made["_ingest"]
    return made


def _apply(processor: Mapping[str, Any], document: Document) -> None:
    [(kind, options)] = processor.items()
    if "if" not in options or _CONDITIONS[options["if"]](document):
        _KINDS[kind](options, document)


def _gsub(options: Mapping[str, Any], document: Document) -> None:
    text = _needed(options, document)
    if text is None:
        return
    if not isinstance(text, str):
        raise Failed(f"field [{options['field']}] is no string")
    # Java's \s and \b know ASCII only, as here.
    pattern = re.compile(options["pattern"], re.ASCII)
    put(document, options["field"], pattern.sub(lambda _: options["replacement"], text))


def _rename(options: Mapping[str, Any], document: Document) -> None:
    value = _needed(options, document)
    if value is None:
        return
    if get(document, options["target_field"]) is not None:
        raise Failed(f"field [{options['target_field']}] already exists")
    _drop(document, options["field"])
    put(document, options["target_field"], value)


def _remove(options: Mapping[str, Any], document: Document) -> None:
    if _needed(options, document) is not None:
        _drop(document, options["field"])


def _set(options: Mapping[str, Any], document: Document) -> None:
    copied = "copy_from" in options
    value = get(document, options["copy_from"]) if copied else options["value"]
    if isinstance(value, str):
        value = re.sub(
            r"\{\{\{(.+?)\}\}\}", lambda found: str(get(document, found[1]) or ""), value
        )
    put(document, options["field"], value)


def _append(options: Mapping[str, Any], document: Document) -> None:
    put(document, options["field"], [*(get(document, options["field"]) or []), *options["value"]])


def _date(options: Mapping[str, Any], document: Document) -> None:
    assert options["formats"] == ["ISO8601"]
    try:
        moment = datetime.fromisoformat(get(document, options["field"]))
    except ValueError as error:
        raise Failed(str(error)) from error
    put(document, "@timestamp", moment.isoformat())


def _script(options: Mapping[str, Any], document: Document) -> None:
    _SCRIPTS[options["source"]](document)


def _needed(options: Mapping[str, Any], document: Document) -> Any:
    value = get(document, options["field"])
    if value is None and not options.get("ignore_missing"):
        raise Failed(f"field [{options['field']}] not present")
    return value


def _drop(document: Document, path: str) -> None:
    *parents, last = path.split(".")
    del (get(document, ".".join(parents)) if parents else document)[last]


_KINDS: dict[str, Callable[[Mapping[str, Any], Document], None]] = {
    "gsub": _gsub,
    "rename": _rename,
    "remove": _remove,
    "set": _set,
    "append": _append,
    "date": _date,
    "script": _script,
}
