"""Quality of search and answers, as far as metrics without human judgement can show."""

from tools.dashboards.board import YES_NO, Board, Kind, Query, above, panel, section
from tools.dashboards.promql import buckets, lacking, mean, quantile, quantiles, rate

_MODELS = section(
    "Models",
    panel(
        "Time of an answer by model",
        "p95 of the generator, by model and how it ended.",
        quantile(0.95, "rag_generate_duration_seconds", "model, outcome"),
        unit="s",
        see=("RagFirstEventBudgetBurn",),
    ),
    panel(
        "Tokens of answers",
        "Input and output tokens of answers per second, by model: the cost of a paid model.",
        rate("rag_answer_tokens_total", "model, kind"),
        see=("RagTierRefused", "rag-tenants"),
    ),
    panel(
        "Tokens of the generator",
        "The same as counted by the generator, including its other clients.",
        rate("rag_generate_tokens_total", "model, kind"),
        see=("RagTierRefused",),
    ),
    panel(
        "A language model that does not answer",
        "Tries after the first, and answers for which the passages were quoted because no try "
        "succeeded.",
        Query(rate("rag_generate_retries_total", "model"), "{{model}} tried again"),
        Query(rate("rag_generate_fallbacks_total", "model"), "{{model}} quoted instead"),
        unit="reqps",
        see=("RagLanguageModelDown",),
    ),
    panel(
        "What embeds",
        "The embedding model of each replica. Two fingerprints at once cannot share an index.",
        Query("count by (model, fingerprint, runtime, precision) (rag_model_info)", "replicas"),
        kind=Kind.TABLE,
        see=("RagIndexMismatch",),
        size=(16, 8),
    ),
)


_FOUND = section(
    "Results",
    panel(
        "Index and model fit",
        "Whether the index was created with the model that embeds questions. Otherwise every "
        "search fails with EMBEDDING_MISMATCH.",
        Query("min(rag_index_fits)", "fits"),
        kind=Kind.NUMBER,
        see=("RagIndexMismatch",),
        size=(4, 6),
        **YES_NO,
    ),
    panel(
        "Empty searches",
        "Share of searches without results: an empty collection, a filter that is too narrow, or "
        "an index that has lost its documents.",
        Query(lacking("rag_searches_total", 'outcome!="empty"'), "empty"),
        kind=Kind.NUMBER,
        unit="percentunit",
        bounds=above(0.1, 0.3),
        see=("RagNoAnswerJump",),
        size=(4, 6),
    ),
    panel(
        "Searches by mode and outcome",
        "Dense, sparse and hybrid searches, and whether they had results.",
        rate("rag_searches_total", "mode, outcome"),
        unit="reqps",
        see=("RagNoAnswerJump",),
        size=(8, 6),
    ),
    panel(
        "Passages per search",
        "Number of passages per search, on average and for the lowest tenth. Fewer than requested "
        "means that the collection is small or the filter is narrow.",
        Query(mean("rag_retrieval_passages"), "mean"),
        Query(quantile(0.1, "rag_retrieval_passages"), "p10"),
        see=("RagNoAnswerJump",),
        size=(8, 6),
    ),
    panel(
        "Score of the first passage",
        "How the fused scores of first passages spread, from 0 to 1. A band that sinks after new "
        "documents or another model is retrieval getting worse.",
        buckets("rag_retrieval_top_score"),
        kind=Kind.HEAT,
        unit="percentunit",
        see=("RagNoAnswerJump",),
        size=(12, 8),
    ),
    panel(
        "Score of the first passage, p10 and p50",
        "The same over time: the median and the lowest tenth.",
        *quantiles((0.1, 0.5), "rag_retrieval_top_score"),
        unit="percentunit",
        most=1,
        see=("RagNoAnswerJump", "rag-journey"),
        size=(12, 8),
    ),
)

_ANSWERED = section(
    "What is answered",
    panel(
        "Answers by outcome",
        "answered; declined for want of passages or of evidence; ungrounded; cut short; failed.",
        rate("rag_answers_total", "outcome"),
        kind=Kind.AREAS,
        unit="reqps",
        see=("RagNoAnswerJump",),
        size=(12, 8),
    ),
    panel(
        "Questions without an answer",
        "Share of questions that got none, for whatever reason. Some is right: what no document "
        "says must be declined. A jump is not.",
        Query(lacking("rag_answers_total", 'outcome="answered"'), "without"),
        unit="percentunit",
        bounds=above(0.3, 0.5),
        most=1,
        see=("RagNoAnswerJump",),
        size=(12, 8),
    ),
    panel(
        "Broken answers",
        "Share of answers that failed, or that were cut short after the reader had seen a part.",
        Query(lacking("rag_answers_total", 'outcome!~"failed|cut_short"'), "broken"),
        unit="percentunit",
        bounds=above(0.02, 0.05),
        see=("RagAnswersBroken", "rag-journey"),
    ),
    panel(
        "Confidence",
        "How sure answers are of themselves, from 0 to 1. Below its threshold the generator "
        "declines.",
        *quantiles((0.1, 0.5), "rag_answer_confidence"),
        unit="percentunit",
        most=1,
        see=("RagNoAnswerJump", "rag-journey"),
    ),
    panel(
        "Groundedness",
        "Share of an answer's claims that its passages support. A language model that begins to "
        "invent is seen here first.",
        Query(mean("rag_answer_groundedness"), "mean"),
        Query(quantile(0.1, "rag_answer_groundedness"), "p10"),
        unit="percentunit",
        most=1,
        see=("RagGroundednessDrop", "rag-journey"),
    ),
    panel(
        "Degraded replies by part",
        "Replies that came without their reranker, generator or language model, or while limits "
        "could not be read.",
        rate("rag_degraded_total", "part"),
        unit="reqps",
        empty="none is degraded",
        see=("RagAnswersDegraded",),
    ),
)

QUALITY = Board(
    uid="rag-quality",
    title="RAG retrieval quality",
    about="Whether questions are answered or declined correctly. `make eval` measures this with a data set.",
    sections=(_FOUND, _ANSWERED, _MODELS),
    window="now-6h",
)
