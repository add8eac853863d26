"""The path of a question: time by stage, and the trace and log lines of a single call."""

from tools.dashboards.board import Board, Kind, Query, Source, above, panel, section
from tools.dashboards.promql import buckets, mean, quantile, quantiles, rate, share

_BATCH = section(
    "Queue and batch",
    panel(
        "Wait for the model",
        "Time that texts wait in the embedder's queue. Questions go first; documents may wait.",
        *quantiles((0.5, 0.95), "rag_embed_wait_seconds", "priority"),
        unit="s",
        bounds=above(0.05, 0.1),
        see=("RagEmbeddingQueueSlow", "rag-capacity"),
    ),
    panel(
        "Texts in a batch",
        "How many texts are computed together. Large ones mean load; ones of a single text mean "
        "that there is none.",
        Query(mean("rag_embed_batch_texts"), "mean"),
        Query(quantile(0.95, "rag_embed_batch_texts"), "p95"),
        see=("RagEmbeddingQueueSlow",),
    ),
    panel(
        "Tokens in a batch",
        "Batch size. The time of a batch depends on its tokens, not its texts.",
        Query(mean("rag_embed_batch_tokens"), "mean"),
        Query(quantile(0.95, "rag_embed_batch_tokens"), "p95"),
        see=("RagEmbeddingQueueSlow",),
    ),
    panel(
        "Time of a batch",
        "Inference time of the model. It grows with tokens, and if CPU cores are scarce.",
        buckets("rag_embed_batch_seconds"),
        kind=Kind.HEAT,
        unit="s",
        see=("RagEmbeddingQueueSlow",),
    ),
    panel(
        "Caches that hit",
        "Share of requests that a cache answered. A fall of tokens or api_keys costs a signature "
        "or a look-up for each call.",
        share("rag_cache_requests_total", 'outcome="hit"', "cache"),
        unit="percentunit",
        most=1,
    ),
    panel(
        "Cache lookups",
        "Lookups in each cache, and their outcome.",
        rate("rag_cache_requests_total", "cache, outcome"),
        kind=Kind.AREAS,
        unit="reqps",
    ),
)

_HOPS = section(
    "Hops",
    panel(
        "Calls from service to service",
        "p95 as the caller sees it, the network included. Much more than the callee's own time is "
        "the network or an event loop that lags.",
        quantile(0.95, "rag_rpc_client_duration_seconds", "peer, method"),
        unit="s",
        see=("RagPeerFailing",),
        size=(12, 8),
    ),
    panel(
        "Stores and outside systems",
        "p95 of each operation, by system.",
        quantile(0.95, "rag_dependency_duration_seconds", "service, system, operation"),
        unit="s",
        see=("RagDependencyFailing", "rag-stores"),
        size=(12, 8),
    ),
)


_ONE = section(
    "One question: put its trace id above",
    panel(
        "Slow and failed ones",
        "Traces of questions that took half a second or failed. Click an id to show it in the "
        "other panels.",
        Query(
            '{ resource.service.name = "rag-gateway" && kind = server && '
            "(duration > 500ms || status = error) }",
            source=Source.TEMPO,
        ),
        kind=Kind.TABLE,
        size=(8, 14),
    ),
    panel(
        "Its trace",
        "All spans of the question, in all processes: the longest one without children took the "
        "time. The id is in each response, error and log line.",
        Query("$trace_id", source=Source.TEMPO),
        kind=Kind.TRACE,
        size=(16, 14),
    ),
    panel(
        "Its log lines",
        "One line of each service that took part, with code, reason and milliseconds, and "
        "whatever went wrong. Never a question, a passage or an answer.",
        Query(
            '{service_name=~".+"} | json | trace_id = `$trace_id` '
            "| drop __error__, __error_details__",
            source=Source.LOKI,
        ),
        kind=Kind.LOGS,
        size=(24, 9),
    ),
)

_STAGES = section(
    "Stages",
    panel(
        "p95 by stage",
        "Within which time 95 of 100 questions pass each stage. A stage with a dot is a part of "
        "the one before the dot. The points are single questions: one leads to its trace.",
        quantile(0.95, "rag_stage_duration_seconds", "stage"),
        unit="s",
        see=("RagSearchLatencyBudgetBurn",),
        size=(12, 10),
    ),
    panel(
        "Time by stage, on average",
        "Mean time of the stages that follow one another, stacked: the thickest layer is the one "
        "to look at.",
        mean("rag_stage_duration_seconds", "stage", 'stage=~"queue|embed|search|rerank|generate"'),
        kind=Kind.AREAS,
        unit="s",
        see=("RagSearchLatencyBudgetBurn",),
        size=(12, 10),
    ),
    panel(
        "Complete questions",
        "How questions spread over their total time. Two bands are two kinds of question, or two "
        "kinds of replica.",
        buckets("rag_stage_duration_seconds", 'stage="total"'),
        kind=Kind.HEAT,
        unit="s",
    ),
    panel(
        "To the first words",
        "Streams: time to the passages (first event) and to the first text of the answer.",
        *quantiles((0.5, 0.95), "rag_stream_first_event_seconds", name="first event"),
        *quantiles((0.5, 0.95), "rag_stream_first_token_seconds", name="first words"),
        unit="s",
        bounds=above(1, 2),
        see=("RagFirstEventBudgetBurn",),
    ),
    panel(
        "A model's first token",
        "Of the generator alone, by model: what is left of the time to the first words without "
        "embedding and search.",
        *quantiles((0.95, 0.5), "rag_generate_first_token_seconds", "model"),
        unit="s",
        see=("RagFirstEventBudgetBurn",),
    ),
)


JOURNEY = Board(
    uid="rag-journey",
    title="RAG one question's journey",
    about="Time spent on questions by stage, for all of them and for the one with the entered trace id.",
    sections=(_ONE, _STAGES, _BATCH, _HOPS),
    asks=("trace_id",),
)
