"""Requests from keyword arguments, for both flavours of the client."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as wire
from rag.types.v1 import passage_pb2
from rag_client import conditions
from rag_client.files import document_id
from rag_client.options import (
    AnswerOptions,
    DocumentOptions,
    IngestOptions,
    ListOptions,
    PassageOptions,
    SearchOptions,
)
from rag_client.results import Passage
from rag_common.errors import InvalidArgument


def search(query: str, options: SearchOptions) -> answers.SearchRequest:
    """A search."""
    return answers.SearchRequest(
        query=query,
        retrieval=_retrieval(options),
        explain=options.get("explain", False),
        request_id=options.get("request_id", ""),
    )


def answer(query: str, options: AnswerOptions) -> answers.AnswerRequest:
    """A question."""
    return answers.AnswerRequest(
        query=query,
        retrieval=_retrieval(options),
        generation=_generation(options),
        grounding=_grounding(options),
        passages=_passages(options.get("passages", ())),
        request_id=options.get("request_id", ""),
        explain=options.get("explain", False),
    )


def stream_answer(query: str, options: AnswerOptions) -> answers.StreamAnswerRequest:
    """The same question, to be answered as a stream."""
    asked = answer(query, options)
    return answers.StreamAnswerRequest(
        query=asked.query,
        retrieval=asked.retrieval,
        generation=asked.generation,
        grounding=asked.grounding,
        passages=asked.passages,
        request_id=asked.request_id,
        explain=asked.explain,
    )


def check_grounding(text: str, passages: Iterable[Passage | str]) -> answers.CheckGroundingRequest:
    """A text to check."""
    return answers.CheckGroundingRequest(text=text, passages=_passages(passages))


def ingest(content: bytes, options: IngestOptions) -> documents.IngestDocumentRequest:
    """A document in one message."""
    return documents.IngestDocumentRequest(
        collection=options.get("collection", ""),
        document=_spec(options),
        content=content,
        request_id=options.get("request_id", ""),
    )


def upload(
    pieces: Callable[[], Iterator[bytes]], options: IngestOptions
) -> Iterator[documents.UploadDocumentRequest]:
    """A document in pieces: the header first, then the content."""
    header = documents.UploadHeader(
        collection=options.get("collection", ""),
        document=_spec(options),
        request_id=options.get("request_id", ""),
    )
    yield documents.UploadDocumentRequest(header=header)
    for piece in pieces():
        yield documents.UploadDocumentRequest(content=piece)


def named(source: bytes | Path, options: IngestOptions) -> IngestOptions:
    """The options with the file's name, and the id that `rag ingest` gives it, where none was given.

    So the same file in a new version takes the former one's place.
    """
    if not isinstance(source, Path):
        return options
    own_id = document_id(PurePosixPath(source.name))
    return {"filename": source.name, "document_id": own_id, **options}


def get_document(document_id: str, options: DocumentOptions) -> documents.GetDocumentRequest:
    """A document to read."""
    collection = options.get("collection", "")
    return documents.GetDocumentRequest(collection=collection, document_id=document_id)


def list_documents(page_token: str, options: ListOptions) -> documents.ListDocumentsRequest:
    """A page of documents."""
    return documents.ListDocumentsRequest(
        collection=options.get("collection", ""),
        page_size=options.get("page_size", 0),
        page_token=page_token,
    )


def list_passages(document_id: str, options: PassageOptions) -> documents.ListPassagesRequest:
    """Passages of a document."""
    return documents.ListPassagesRequest(
        collection=options.get("collection", ""),
        document_id=document_id,
        first_ordinal=options.get("first_ordinal", 0),
        page_size=options.get("page_size", 0),
    )


def delete_document(document_id: str, options: DocumentOptions) -> documents.DeleteDocumentRequest:
    """A document to remove."""
    collection = options.get("collection", "")
    return documents.DeleteDocumentRequest(collection=collection, document_id=document_id)


def _retrieval(options: SearchOptions) -> wire.RetrievalOptions:
    chosen = options.get("filter")
    return wire.RetrievalOptions(
        collections=options.get("collections", ()),
        filter=conditions.to_wire(chosen) if chosen else None,
        mode=_member("mode", "RETRIEVAL_MODE", options.get("mode")),
        candidates=options.get("candidates"),
        top_k=options.get("top_k"),
        min_score=options.get("min_score"),
        fusion=_member("fusion", "FUSION_METHOD", options.get("fusion")),
        rerank=options.get("rerank", False),
    )


def _generation(options: AnswerOptions) -> wire.GenerationOptions:
    return wire.GenerationOptions(
        model=options.get("model") or "",
        max_output_tokens=options.get("max_output_tokens"),
        temperature=options.get("temperature"),
        seed=options.get("seed"),
        language=options.get("language") or "",
    )


def _grounding(options: AnswerOptions) -> wire.GroundingOptions:
    mode = _member("grounding", "GROUNDING_MODE", options.get("grounding"))
    return wire.GroundingOptions(mode=mode, min_score=options.get("min_confidence"))


_MEMBERS = {
    "RETRIEVAL_MODE": wire.RetrievalMode.keys(),
    "FUSION_METHOD": wire.FusionMethod.keys(),
    "GROUNDING_MODE": wire.GroundingMode.keys(),
}


def _member(field: str, prefix: str, value: str | None) -> str:
    """The enum's name for a lower-case word; refused here, since the wire could not carry it."""
    name = f"{prefix}_{(value or 'unspecified').upper()}"
    if name not in _MEMBERS[prefix]:
        known = [key.removeprefix(f"{prefix}_").lower() for key in _MEMBERS[prefix][1:]]
        raise InvalidArgument.of(field, f"one of {', '.join(known)}")
    return name


def _spec(options: IngestOptions) -> documents.DocumentSpec:
    spec = documents.DocumentSpec(
        document_id=options.get("document_id", ""),
        title=options.get("title", ""),
        uri=options.get("uri", ""),
        filename=options.get("filename", ""),
        media_type=options.get("media_type", ""),
    )
    spec.metadata.update(options.get("metadata", {}))
    return spec


def _passages(passages: Iterable[Passage | str]) -> Iterator[passage_pb2.Passage]:
    for number, given in enumerate(passages, start=1):
        passage = Passage(str(number), given) if isinstance(given, str) else given
        message = passage_pb2.Passage(
            passage_id=passage.passage_id,
            document_id=passage.document_id,
            collection=passage.collection,
            title=passage.title,
            text=passage.text,
            headings=passage.headings,
            uri=passage.uri,
            page=passage.page,
        )
        message.metadata.update(passage.metadata)
        yield message
