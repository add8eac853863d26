"""The rules for every field of every public request, declared in this table alone."""

import sys
from collections.abc import Mapping

from rag.gateway.v1 import options_pb2 as options
from rag_contract.filter_rules import MAX_CONDITIONS
from rag_contract.metadata_rules import MAX_CHARACTERS, MAX_KEYS, MAX_VALUES
from rag_gateway.api.validation.metadata import MetadataRule
from rag_gateway.api.validation.patterns import (
    COLLECTION,
    ID,
    LANGUAGE,
    LINE,
    METADATA_KEY,
    PLAIN,
    SUBJECT,
    Lifetime,
    Moment,
)
from rag_gateway.api.validation.rules import (
    Choice,
    Content,
    DocumentId,
    FilterRule,
    Flag,
    ListRule,
    MessageRule,
    Number,
    Rule,
    Text,
)

Fields = Mapping[str, Rule]

QUERY_CHARACTERS = 4_000
CHECKED_CHARACTERS = 20_000
PASSAGE_CHARACTERS = 20_000
MAX_TOP_K = 100
MAX_CANDIDATES = 1_000
MAX_PASSAGES = 50
MAX_PAGE_SIZE = 1_000
MAX_PIECE_BYTES = 2**20

_INT64 = Number(-(2**63), 2**63 - 1)
_UINT32 = Number(0, 2**32 - 1)
_FINITE = Number(-sys.float_info.max, sys.float_info.max)

QUERY = Text(QUERY_CHARACTERS, required=True)
_REQUEST_ID = Text(64, ID)
COLLECTION_NAME = Text(64, COLLECTION)
DOCUMENT_NAME = DocumentId(required=True)
_NAMED_COLLECTION = Text(64, COLLECTION, required=True)
PAGE_SIZE = Number(0, MAX_PAGE_SIZE)
PAGE_TOKEN = Text(1_024, LINE)

METADATA = MetadataRule(keys=MAX_KEYS, characters=MAX_CHARACTERS, entries=MAX_VALUES)

_CONDITION = MessageRule(
    {
        "key": Text(64, METADATA_KEY, required=True),
        "any_of": MessageRule(
            {"values": ListRule(MAX_VALUES, Text(MAX_CHARACTERS), required=True)}
        ),
        "any_integer": MessageRule({"values": ListRule(MAX_VALUES, _INT64, required=True)}),
        "number": MessageRule({"min": _FINITE, "max": _FINITE}),
        "time": MessageRule({"start": Moment(), "before": Moment()}),
        "equals_bool": Flag(),
    }
)
_CONDITIONS = ListRule(MAX_CONDITIONS, _CONDITION)
FILTER = FilterRule({"must": _CONDITIONS, "should": _CONDITIONS, "must_not": _CONDITIONS})

RETRIEVAL = MessageRule(
    {
        "collections": ListRule(64, _NAMED_COLLECTION),
        "filter": FILTER,
        "mode": Choice(options.RetrievalMode.DESCRIPTOR),
        "candidates": Number(1, MAX_CANDIDATES),
        "top_k": Number(1, MAX_TOP_K),
        "min_score": Number(-1e6, 1e6),
        "fusion": Choice(options.FusionMethod.DESCRIPTOR),
        "rerank": Flag(),
    }
)
GENERATION = MessageRule(
    {
        "model": Text(128, LINE),
        "max_output_tokens": Number(1, 4_096),
        "temperature": Number(0, 2),
        "seed": _INT64,
        "language": Text(35, LANGUAGE),
    }
)
GROUNDING = MessageRule(
    {"mode": Choice(options.GroundingMode.DESCRIPTOR), "min_score": Number(0, 1)}
)

_SPAN = MessageRule(dict.fromkeys(("start", "end", "start_byte", "end_byte"), _UINT32))
PASSAGE = MessageRule(
    {
        "passage_id": Text(512, LINE),
        "document_id": Text(512, LINE),
        "collection": Text(64, LINE),
        "title": Text(500, PLAIN),
        "text": Text(PASSAGE_CHARACTERS, required=True),
        "headings": ListRule(64, Text(500, PLAIN)),
        "span": _SPAN,
        "page": _UINT32,
        "location": MessageRule(
            {
                "sheet": Text(500, PLAIN),
                "first_row": _UINT32,
                "last_row": _UINT32,
                "attachment": Text(500, PLAIN),
            }
        ),
        "ordinal": _UINT32,
        "uri": Text(2_000, LINE),
        "version": Text(128, LINE),
        "metadata": METADATA,
    }
)
PASSAGES = ListRule(MAX_PASSAGES, PASSAGE)

_QUESTION = MessageRule(
    {
        "query": QUERY,
        "retrieval": RETRIEVAL,
        "generation": GENERATION,
        "grounding": GROUNDING,
        "passages": PASSAGES,
        "request_id": _REQUEST_ID,
        "explain": Flag(),
    }
)

SPEC = MessageRule(
    {
        "document_id": DocumentId(),
        "title": Text(500, PLAIN),
        "uri": Text(2_000, LINE),
        "filename": Text(500, LINE),
        "media_type": Text(200, LINE),
        "metadata": METADATA,
    }
)
_DOCUMENT: Fields = {"collection": COLLECTION_NAME, "document": SPEC, "request_id": _REQUEST_ID}
_HEADER = MessageRule(_DOCUMENT)
_KEY: Fields = {"collection": COLLECTION_NAME, "document_id": DOCUMENT_NAME}
_PAGE: Fields = {"page_size": PAGE_SIZE, "page_token": PAGE_TOKEN}

_GRANT: Fields = {
    "scopes": ListRule(32, Text(64, ID, required=True), required=True),
    "collections": ListRule(64, _NAMED_COLLECTION),
    "request_id": _REQUEST_ID,
}

# Rules by the full name of the request message.
LIMITS: Mapping[str, MessageRule] = {
    f"rag.gateway.v1.{name}Request": limits
    for name, limits in {
        "Answer": _QUESTION,
        "StreamAnswer": _QUESTION,
        "Search": MessageRule(
            {
                "query": QUERY,
                "retrieval": RETRIEVAL,
                "explain": Flag(),
                "request_id": _REQUEST_ID,
            }
        ),
        "CheckGrounding": MessageRule(
            {
                "text": Text(CHECKED_CHARACTERS, required=True),
                "passages": ListRule(MAX_PASSAGES, PASSAGE, required=True),
            }
        ),
        "GetCapabilities": MessageRule({}),
        "IngestDocument": MessageRule(
            {**_DOCUMENT, "content": Content("GATEWAY_DOCUMENT_BYTES", required=True)}
        ),
        "UploadDocument": MessageRule({"header": _HEADER, "content": Content(MAX_PIECE_BYTES)}),
        "GetDocument": MessageRule(_KEY),
        "DeleteDocument": MessageRule(_KEY),
        "ListDocuments": MessageRule({"collection": COLLECTION_NAME, **_PAGE}),
        "ListPassages": MessageRule({**_KEY, "first_ordinal": _UINT32, "page_size": PAGE_SIZE}),
        "GetIdentity": MessageRule({}),
        "GetQuota": MessageRule({}),
        "CreateApiKey": MessageRule(
            {
                "display_name": Text(100, LINE, required=True),
                **_GRANT,
                "lifetime": Lifetime(60, 366 * 86_400),
            }
        ),
        "ListApiKeys": MessageRule(_PAGE),
        "RevokeApiKey": MessageRule({"api_key_id": Text(64, ID, required=True)}),
        "IssueToken": MessageRule(
            {
                "subject": Text(128, SUBJECT, required=True),
                **_GRANT,
                "lifetime": Lifetime(60, 86_400),
            }
        ),
        "RevokeToken": MessageRule({"token_id": Text(128, LINE, required=True)}),
    }.items()
}
