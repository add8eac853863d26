"""The limits of every field of every public request: the one place that says them."""

import sys
from collections.abc import Mapping

from rag.gateway.v1 import options_pb2 as options
from rag_gateway.requests.facts import Facts
from rag_gateway.requests.forms import (
    COLLECTION,
    DOCUMENT_ID,
    ID,
    LANGUAGE,
    LINE,
    METADATA_KEY,
    PLAIN,
    SUBJECT,
)
from rag_gateway.requests.nested import Nested
from rag_gateway.requests.rules import (
    Choice,
    Content,
    Flag,
    Many,
    Number,
    Rule,
    Text,
)
from rag_gateway.requests.times import Lifetime, Moment

Fields = Mapping[str, Rule]

QUERY_CHARACTERS = 4_000
CHECKED_CHARACTERS = 20_000
PASSAGE_CHARACTERS = 20_000
MOST_TOP_K = 100
MOST_CANDIDATES = 1_000
MOST_PASSAGES = 50
MOST_PAGE = 1_000
MOST_CONDITIONS = 64
MOST_PIECE = 2**20

_INT64 = Number(-(2**63), 2**63 - 1)
_UINT32 = Number(0, 2**32 - 1)
_FINITE = Number(-sys.float_info.max, sys.float_info.max)

QUERY = Text(QUERY_CHARACTERS, required=True)
_REQUEST_ID = Text(64, ID)
COLLECTION_NAME = Text(64, COLLECTION)
DOCUMENT_NAME = Text(255, DOCUMENT_ID, required=True)
_NAMED_COLLECTION = Text(64, COLLECTION, required=True)
PAGE_SIZE = Number(0, MOST_PAGE)
PAGE_TOKEN = Text(1_024, LINE)

METADATA = Facts(keys=64, characters=1_000, entries=100)

_CONDITION = Nested(
    {
        "key": Text(64, METADATA_KEY, required=True),
        "any_of": Nested({"values": Many(100, Text(1_000), required=True)}),
        "any_integer": Nested({"values": Many(100, _INT64, required=True)}),
        "number": Nested({"min": _FINITE, "max": _FINITE}),
        "time": Nested({"start": Moment(), "before": Moment()}),
        "equals_bool": Flag(),
    }
)
_CONDITIONS = Many(MOST_CONDITIONS, _CONDITION)
FILTER = Nested({"must": _CONDITIONS, "should": _CONDITIONS, "must_not": _CONDITIONS})

RETRIEVAL = Nested(
    {
        "collections": Many(64, _NAMED_COLLECTION),
        "filter": FILTER,
        "mode": Choice(options.RetrievalMode.DESCRIPTOR),
        "candidates": Number(1, MOST_CANDIDATES),
        "top_k": Number(1, MOST_TOP_K),
        "min_score": Number(-1e6, 1e6),
        "fusion": Choice(options.FusionMethod.DESCRIPTOR),
        "rerank": Flag(),
    }
)
GENERATION = Nested(
    {
        "model": Text(128, LINE),
        "max_output_tokens": Number(1, 4_096),
        "temperature": Number(0, 2),
        "seed": _INT64,
        "language": Text(35, LANGUAGE),
    }
)
GROUNDING = Nested({"mode": Choice(options.GroundingMode.DESCRIPTOR), "min_score": Number(0, 1)})

_SPAN = Nested(dict.fromkeys(("start", "end", "start_byte", "end_byte"), _UINT32))
PASSAGE = Nested(
    {
        "passage_id": Text(512, LINE),
        "document_id": Text(512, LINE),
        "collection": Text(64, LINE),
        "title": Text(500, PLAIN),
        "text": Text(PASSAGE_CHARACTERS, required=True),
        "headings": Many(64, Text(500, PLAIN)),
        "span": _SPAN,
        "page": _UINT32,
        "ordinal": _UINT32,
        "uri": Text(2_000, LINE),
        "version": Text(128, LINE),
        "metadata": METADATA,
    }
)
PASSAGES = Many(MOST_PASSAGES, PASSAGE)

_QUESTION = Nested(
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

SPEC = Nested(
    {
        "document_id": Text(255, DOCUMENT_ID),
        "title": Text(500, PLAIN),
        "uri": Text(2_000, LINE),
        "filename": Text(500, LINE),
        "media_type": Text(200, LINE),
        "metadata": METADATA,
    }
)
_DOCUMENT: Fields = {"collection": COLLECTION_NAME, "document": SPEC, "request_id": _REQUEST_ID}
_HEADER = Nested(_DOCUMENT)
_KEY: Fields = {"collection": COLLECTION_NAME, "document_id": DOCUMENT_NAME}
_PAGE: Fields = {"page_size": PAGE_SIZE, "page_token": PAGE_TOKEN}

_GRANT: Fields = {
    "scopes": Many(32, Text(64, ID, required=True), required=True),
    "collections": Many(64, _NAMED_COLLECTION),
    "request_id": _REQUEST_ID,
}

# By the request's full name.
LIMITS: Mapping[str, Nested] = {
    f"rag.gateway.v1.{name}Request": limits
    for name, limits in {
        "Answer": _QUESTION,
        "StreamAnswer": _QUESTION,
        "Search": Nested(
            {
                "query": QUERY,
                "retrieval": RETRIEVAL,
                "explain": Flag(),
                "request_id": _REQUEST_ID,
            }
        ),
        "CheckGrounding": Nested(
            {
                "text": Text(CHECKED_CHARACTERS, required=True),
                "passages": Many(MOST_PASSAGES, PASSAGE, required=True),
            }
        ),
        "GetCapabilities": Nested({}),
        "IngestDocument": Nested(
            {**_DOCUMENT, "content": Content("GATEWAY_DOCUMENT_BYTES", required=True)}
        ),
        "UploadDocument": Nested({"header": _HEADER, "content": Content(MOST_PIECE)}),
        "GetDocument": Nested(_KEY),
        "DeleteDocument": Nested(_KEY),
        "ListDocuments": Nested({"collection": COLLECTION_NAME, **_PAGE}),
        "ListPassages": Nested({**_KEY, "first_ordinal": _UINT32, "page_size": PAGE_SIZE}),
        "GetIdentity": Nested({}),
        "GetQuota": Nested({}),
        "CreateApiKey": Nested(
            {
                "display_name": Text(100, LINE, required=True),
                **_GRANT,
                "lifetime": Lifetime(60, 366 * 86_400),
            }
        ),
        "ListApiKeys": Nested(_PAGE),
        "RevokeApiKey": Nested({"api_key_id": Text(64, ID, required=True)}),
        "IssueToken": Nested(
            {
                "subject": Text(128, SUBJECT, required=True),
                **_GRANT,
                "lifetime": Lifetime(60, 86_400),
            }
        ),
        "RevokeToken": Nested({"token_id": Text(128, LINE, required=True)}),
    }.items()
}
