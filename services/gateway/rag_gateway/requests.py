"""What may come in: the limits of every field of the public API, and requests as the core takes them."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unicodedata import normalize

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value

from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as pb
from rag.types.v1.passage_pb2 import Passage
from rag_common import errors
from rag_common.errors import FieldViolation
from rag_gateway.ingestion import Spec
from rag_gateway.question import Generation, Retrieval, Support

QUERY_CHARACTERS = 4_000
CHECKED_CHARACTERS = 20_000
PASSAGE_CHARACTERS = 20_000
MOST_TOP_K = 100
MOST_CANDIDATES = 1_000
MOST_PASSAGES = 50
MOST_PAGE = 1_000
DEFAULT_COLLECTION = "default"

_COLLECTION = re.compile(r"[a-z0-9][a-zA-Z0-9_-]{0,63}")
_DOCUMENT_ID = re.compile(r"[A-Za-z0-9가-힣._:/@-][A-Za-z0-9가-힣 ._:/@()-]{0,254}")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")

_MODES = {
    pb.RETRIEVAL_MODE_UNSPECIFIED: (True, True),
    pb.RETRIEVAL_MODE_HYBRID: (True, True),
    pb.RETRIEVAL_MODE_DENSE: (True, False),
    pb.RETRIEVAL_MODE_SPARSE: (False, True),
}
_FUSIONS = {
    pb.FUSION_METHOD_UNSPECIFIED: "posterior",
    pb.FUSION_METHOD_POSTERIOR: "posterior",
    pb.FUSION_METHOD_RRF: "rrf",
    pb.FUSION_METHOD_DBSF: "dbsf",
}
_GROUNDING = {
    pb.GROUNDING_MODE_UNSPECIFIED: "refuse",
    pb.GROUNDING_MODE_REFUSE: "refuse",
    pb.GROUNDING_MODE_FLAG: "flag",
    pb.GROUNDING_MODE_OFF: "off",
}


class Checks:
    """Collects what is wrong with a request, so that a caller learns all of it at once."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []
        self._too_long = False

    def require(self, fits: bool, field: str, description: str) -> None:
        """Note a violation where the value does not fit."""
        if not fits:
            self._violations.append(FieldViolation(field, description))

    def text(self, value: str, field: str, most: int) -> None:
        """A text must have something in it, and at most so many characters."""
        self.require(bool(value.strip()), field, "is empty")
        if len(value) > most:
            self._too_long = True
            self.require(False, field, f"has {len(value)} characters; the limit is {most}")

    def done(self) -> None:
        """Raise InvalidArgument, or InputTooLong where that is all, if anything was wrong."""
        if self._violations:
            only_length = self._too_long and len(self._violations) == 1
            kind = errors.InputTooLong if only_length else errors.InvalidArgument
            first = self._violations[0]
            raise kind(f"{first.field}: {first.description}", violations=self._violations)


def query(checks: Checks, value: str) -> str:
    """The query in NFC, without white space around it."""
    checks.text(value, "query", QUERY_CHARACTERS)
    return _nfc(value).strip()


def retrieval(checks: Checks, options: pb.RetrievalOptions, explain: bool) -> Retrieval:
    """Retrieval options with their defaults; candidates are never fewer than top_k."""
    top_k = options.top_k if options.HasField("top_k") else 10
    candidates = options.candidates if options.HasField("candidates") else max(50, top_k)
    checks.require(1 <= top_k <= MOST_TOP_K, "retrieval.top_k", f"must be 1 to {MOST_TOP_K}")
    checks.require(
        top_k <= candidates <= MOST_CANDIDATES,
        "retrieval.candidates",
        f"must be top_k to {MOST_CANDIDATES}",
    )
    checks.require(options.mode in _MODES, "retrieval.mode", "is not a known value")
    checks.require(options.fusion in _FUSIONS, "retrieval.fusion", "is not a known value")
    _number(checks, options, "min_score", "retrieval", -1e6, 1e6)
    checks.require(len(options.collections) <= 64, "retrieval.collections", "has over 64 entries")
    for i, name in enumerate(options.collections[:64]):
        _named(checks, name, f"retrieval.collections[{i}]")
    dense, sparse = _MODES.get(options.mode, (True, True))
    return Retrieval(
        collections=tuple(dict.fromkeys(options.collections)),
        filter=options.filter if options.HasField("filter") else None,
        dense=dense,
        sparse=sparse,
        candidates=candidates,
        top_k=top_k,
        min_score=_optional(options, "min_score"),
        fusion=_FUSIONS.get(options.fusion, "posterior"),
        rerank=options.rerank,
        explain=explain,
    )


def generation(checks: Checks, options: pb.GenerationOptions) -> Generation:
    """Generation options."""
    _number(checks, options, "max_output_tokens", "generation", 1, 4096)
    _number(checks, options, "temperature", "generation", 0, 2)
    checks.require(len(options.model) <= 128, "generation.model", "has over 128 characters")
    checks.require(
        not options.language or bool(_LANGUAGE.fullmatch(options.language)),
        "generation.language",
        "is not a BCP 47 tag, such as ko or en-US",
    )
    return Generation(
        model=options.model,
        max_output_tokens=_optional(options, "max_output_tokens"),
        temperature=_optional(options, "temperature"),
        seed=_optional(options, "seed"),
        language=options.language,
    )


def support(checks: Checks, options: pb.GroundingOptions) -> Support:
    """Grounding options."""
    checks.require(options.mode in _GROUNDING, "grounding.mode", "is not a known value")
    _number(checks, options, "min_score", "grounding", 0, 1)
    return Support(_GROUNDING.get(options.mode, "refuse"), _optional(options, "min_score"))


def passages(checks: Checks, given: Sequence[Passage]) -> list[Passage]:
    """Passages of the caller's own, in NFC; one without an id gets its position as one."""
    checks.require(len(given) <= MOST_PASSAGES, "passages", f"has over {MOST_PASSAGES} entries")
    named: list[Passage] = []
    for i, passage in enumerate(given[:MOST_PASSAGES]):
        checks.text(passage.text, f"passages[{i}].text", PASSAGE_CHARACTERS)
        copy = Passage()
        copy.CopyFrom(passage)
        copy.passage_id = passage.passage_id or f"given-{i + 1}"
        copy.title, copy.text = _nfc(passage.title), _nfc(passage.text)
        named.append(copy)
    ids = {passage.passage_id for passage in named}
    checks.require(len(ids) == len(named), "passages", "has the same passage_id twice")
    return named


def collection(checks: Checks, name: str, field: str = "collection") -> str:
    """A collection's name; `default` where empty."""
    _named(checks, name or DEFAULT_COLLECTION, field)
    return name or DEFAULT_COLLECTION


def document_id(checks: Checks, value: str, field: str = "document_id") -> str:
    """A document's id, in NFC."""
    name = _nfc(value)
    checks.require(
        bool(_DOCUMENT_ID.fullmatch(name)),
        field,
        "must be 1 to 255 letters, digits, Hangul, spaces and . _ : / @ ( ) -, not beginning with a space",
    )
    return name


def page(checks: Checks, size: int, token: str = "") -> int:
    """A page's size, 100 where 0."""
    checks.require(size <= MOST_PAGE, "page_size", f"must be at most {MOST_PAGE}")
    checks.require(len(token) <= 1024, "page_token", "is not one of ours")
    return size or 100


def spec(checks: Checks, name: str, given: documents.DocumentSpec) -> Spec:
    """What the caller says of a document; its texts in NFC, for file systems of Macs give NFD."""
    id_field = "document.document_id"
    for field, most in (("title", 500), ("uri", 2000), ("filename", 500), ("media_type", 200)):
        value = getattr(given, field)
        checks.require(len(value) <= most, f"document.{field}", f"has over {most} characters")
    return Spec(
        collection=collection(checks, name),
        document_id=given.document_id and document_id(checks, given.document_id, id_field),
        title=_nfc(given.title).strip(),
        uri=given.uri,
        filename=_nfc(given.filename),
        media_type=given.media_type,
        metadata=_metadata(checks, given.metadata),
    )


def _metadata(checks: Checks, given: Struct) -> Mapping[str, Any]:
    checks.require(len(given.fields) <= 64, "document.metadata", "has over 64 keys")
    for key, value in list(given.fields.items())[:64]:
        field = f"document.metadata.{key[:80]}"
        checks.require(bool(_KEY.fullmatch(key)), field, "is not a letter, then letters, digits, _")
        for problem in _unfit(value, nested=False):
            checks.require(False, field, problem)
    return {key: _plain(value) for key, value in given.fields.items()}


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case "string_value":
            return _nfc(value.string_value)
        case kind:
            return getattr(value, kind or "null_value")


def _unfit(value: Value, *, nested: bool) -> Iterator[str]:
    match value.WhichOneof("kind"):
        case "string_value" if len(value.string_value) > 1000:
            yield "has over 1000 characters"
        case "number_value" if not math.isfinite(value.number_value):
            yield "is not a finite number"
        case "list_value" if not nested:
            kinds = {item.WhichOneof("kind") for item in value.list_value.values}
            if len(value.list_value.values) > 100 or len(kinds) > 1:
                yield "must be at most 100 texts, or at most 100 numbers"
            for item in value.list_value.values[:100]:
                yield from _unfit(item, nested=True)
        case "null_value" | "struct_value" | "list_value" | None:
            yield "must be a text, a number, a truth value, or a list of texts or numbers"
        case "bool_value" if nested:
            yield "must be a list of texts or numbers"


def _named(checks: Checks, name: str, field: str) -> None:
    checks.require(
        bool(_COLLECTION.fullmatch(name)),
        field,
        "must be a lower-case letter or digit, then at most 63 letters, digits, - or _",
    )


def _number(
    checks: Checks, options: Message, name: str, parent: str, least: float, most: float
) -> None:
    value = _optional(options, name)
    fits = value is None or (math.isfinite(value) and least <= value <= most)
    checks.require(fits, f"{parent}.{name}", f"must be {least:g} to {most:g}")


def _optional(options: Message, name: str) -> Any:
    return getattr(options, name) if options.HasField(name) else None


def _nfc(text: str) -> str:
    return normalize("NFC", text)
