"""Replies that the neighbour gives."""

from google.protobuf.duration_pb2 import Duration

from rag.gateway.v1 import answer_service_pb2 as answers
from rag.gateway.v1 import document_service_pb2 as documents
from rag.gateway.v1 import options_pb2 as options
from rag.types.v1 import document_pb2, grounding_pb2, passage_pb2
from tests.support.client.neighbour import TRACE


def passage(document_id: str, text: str = "연차는 15일이다.") -> passage_pb2.ScoredPassage:
    return passage_pb2.ScoredPassage(
        passage=passage_pb2.Passage(
            passage_id=f"{document_id}#0",
            document_id=document_id,
            collection="rules",
            title="취업 규칙",
            text=text,
            headings=["휴가"],
            page=3,
        ),
        evidence=passage_pb2.Evidence(
            score=0.9, dense_rank=1, dense_score=0.8, matched_terms=["연차"]
        ),
    )


def search(*document_ids: str) -> answers.SearchResponse:
    return answers.SearchResponse(
        passages=[passage(item) for item in document_ids], query_terms=["연차"], trace_id=TRACE
    )


def answer(
    text: str = "15일입니다. [1]", quote: str = "연차는 15일이다."
) -> answers.AnswerResponse:
    citation = grounding_pb2.Citation(
        number=1, passage_id="rules.md#0", document_id="rules.md", quote=quote
    )
    timing = options.StageTiming(stage="total", duration=Duration(nanos=12_500_000))
    return answers.AnswerResponse(
        text=text,
        citations=[citation],
        references=[passage("rules.md")],
        timings=[timing],
        trace_id=TRACE,
    )


def declined() -> answers.AnswerResponse:
    reason = grounding_pb2.SKIPPED_REASON_WEAK_EVIDENCE
    return answers.AnswerResponse(text="문서에 없습니다.", skipped_reason=reason)


def events(whole: answers.AnswerResponse | None = None) -> list[answers.StreamAnswerResponse]:
    event = answers.StreamAnswerResponse
    return [
        event(started=answers.Started(request_id="request-1", trace_id=TRACE)),
        event(retrieved=answers.Retrieved(references=[passage("rules.md")])),
        event(delta=answers.Delta(sequence=0, text="15일입니다.")),
        event(delta=answers.Delta(sequence=1, text=" [1]")),
        event(completed=whole or answer()),
    ]


def ingested(
    outcome: documents.IngestOutcome = documents.INGEST_OUTCOME_CREATED, passages: int = 2
) -> documents.IngestDocumentResponse:
    document = document_pb2.Document(document_id="rules.md", passage_count=passages)
    return documents.IngestDocumentResponse(document=document, outcome=outcome, trace_id=TRACE)


def page(*document_ids: str, token: str = "") -> documents.ListDocumentsResponse:
    return documents.ListDocumentsResponse(
        documents=[document_pb2.Document(document_id=item) for item in document_ids],
        next_page_token=token,
    )
