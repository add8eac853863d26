"""How good what is found and answered is, as far as numbers without a judge can tell."""

from scripts.dashboards import generation
from scripts.dashboards.board import YES_NO, Board, Kind, Panel, Query, Section, above, below
from scripts.dashboards.promql import buckets, lacking, mean, quantile, rate

_FOUND = Section(
    "What is found",
    (
        Panel(
            title="Index and model fit",
            says="Whether the index was made with the model that embeds questions. Where not, "
            "every search is refused with EMBEDDING_MISMATCH.",
            queries=(Query("min(rag_index_fits)", "fits"),),
            kind=Kind.NUMBER,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagIndexMismatch",),
            width=4,
            height=6,
        ),
        Panel(
            title="Empty searches",
            says="Share of searches that found nothing at all: an empty collection, a filter "
            "that is too narrow, or an index that has lost its documents.",
            queries=(Query(lacking("rag_searches_total", 'outcome!="empty"'), "empty"),),
            kind=Kind.NUMBER,
            unit="percentunit",
            bounds=above(0.1, 0.3),
            runbooks=("RagNoAnswerJump",),
            width=4,
            height=6,
        ),
        Panel(
            title="Searches by mode and outcome",
            says="dense, sparse and hybrid searches, and whether they found anything.",
            queries=(Query(rate("rag_searches_total", "mode, outcome"), "{{mode}} {{outcome}}"),),
            unit="reqps",
            runbooks=("RagNoAnswerJump",),
            height=6,
        ),
        Panel(
            title="Passages found",
            says="How many passages a search brings back, on average and at least for nine in "
            "ten. Fewer than asked for means that the collection is small or the filter narrow.",
            queries=(
                Query(mean("rag_retrieval_passages"), "mean"),
                Query(quantile(0.1, "rag_retrieval_passages"), "p10"),
            ),
            runbooks=("RagNoAnswerJump",),
            height=6,
        ),
        Panel(
            title="Score of the first passage",
            says="How the fused scores of first passages spread, from 0 to 1. A band that sinks "
            "after new documents or another model is retrieval getting worse.",
            queries=(Query(buckets("rag_retrieval_top_score"), "{{le}}"),),
            kind=Kind.HEAT,
            unit="percentunit",
            runbooks=("RagNoAnswerJump",),
            width=12,
        ),
        Panel(
            title="Score of the first passage, p10 and p50",
            says="The same as lines: the median question, and the tenth that finds worst.",
            queries=tuple(
                Query(quantile(q, "rag_retrieval_top_score"), f"p{round(q * 100)}")
                for q in (0.1, 0.5)
            ),
            unit="percentunit",
            most=1,
            runbooks=("RagNoAnswerJump",),
            leads=("rag-journey",),
            width=12,
        ),
    ),
)

_ANSWERED = Section(
    "What is answered",
    (
        Panel(
            title="Answers by outcome",
            says="answered; declined for want of passages or of evidence; ungrounded; cut short; "
            "failed.",
            queries=(Query(rate("rag_answers_total", "outcome"), "{{outcome}}"),),
            kind=Kind.AREAS,
            unit="reqps",
            runbooks=("RagNoAnswerJump",),
            width=12,
        ),
        Panel(
            title="Questions without an answer",
            says="Share of questions that got none, for whatever reason. Some is right: what no "
            "document says must be declined. A jump is not.",
            queries=(Query(lacking("rag_answers_total", 'outcome="answered"'), "without"),),
            unit="percentunit",
            bounds=above(0.3, 0.5),
            most=1,
            runbooks=("RagNoAnswerJump",),
            width=12,
        ),
        Panel(
            title="Broken answers",
            says="Share of answers that failed, or that were cut short after the reader had seen "
            "a part.",
            queries=(Query(lacking("rag_answers_total", 'outcome!~"failed|cut_short"'), "broken"),),
            unit="percentunit",
            bounds=above(0.02, 0.05),
            runbooks=("RagAnswersBroken",),
            leads=("rag-journey",),
        ),
        Panel(
            title="Confidence",
            says="How sure answers are of themselves, from 0 to 1. Below its threshold the "
            "generator declines.",
            queries=tuple(
                Query(quantile(q, "rag_answer_confidence"), f"p{round(q * 100)}")
                for q in (0.1, 0.5)
            ),
            unit="percentunit",
            most=1,
            runbooks=("RagNoAnswerJump",),
            leads=("rag-journey",),
        ),
        Panel(
            title="Groundedness",
            says="Share of an answer's claims that its passages support. A language model that "
            "begins to invent is seen here first.",
            queries=(
                Query(mean("rag_answer_groundedness"), "mean"),
                Query(quantile(0.1, "rag_answer_groundedness"), "p10"),
            ),
            unit="percentunit",
            most=1,
            runbooks=("RagGroundednessDrop",),
            leads=("rag-journey",),
        ),
        Panel(
            title="Degraded replies by part",
            says="Replies that came without their reranker, generator or language model, or "
            "while limits could not be read.",
            empty="none is degraded",
            queries=(Query(rate("rag_degraded_total", "part"), "{{part}}"),),
            unit="reqps",
            runbooks=("RagAnswersDegraded",),
        ),
    ),
)

QUALITY = Board(
    uid="rag-quality",
    title="RAG retrieval quality",
    about="Whether the right things are found, answered and refused. `make eval` measures it against a set.",
    sections=(_FOUND, _ANSWERED, generation.SECTION),
    window="now-6h",
)
