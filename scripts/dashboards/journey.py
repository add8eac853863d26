"""One question's way: where its time goes, stage by stage, and the trace and log lines of a single one."""

from scripts.dashboards import waits
from scripts.dashboards.board import Board, Kind, Panel, Query, Section, Source, above
from scripts.dashboards.promql import buckets, mean, quantile

_ONE = Section(
    "One question: put its trace id above",
    (
        Panel(
            title="Slow and failed ones",
            says="Traces of questions that took half a second or failed. An id, clicked, fills the "
            "panels beside and below.",
            queries=(
                Query(
                    '{ resource.service.name = "rag-gateway" && kind = server && '
                    "(duration > 500ms || status = error) }",
                    source=Source.TEMPO,
                ),
            ),
            kind=Kind.TABLE,
            width=8,
            height=14,
        ),
        Panel(
            title="Its trace",
            says="Every span of the question, in every process it went through: the widest one "
            "without children is where the time went. The id is in each reply, error and log "
            "line.",
            queries=(Query("$trace_id", source=Source.TEMPO),),
            kind=Kind.TRACE,
            width=16,
            height=14,
        ),
        Panel(
            title="Its log lines",
            says="One line of each service that took part, with code, reason and milliseconds, "
            "and whatever went wrong. Never a question, a passage or an answer.",
            queries=(
                Query(
                    '{service_name=~".+"} | json | trace_id = `$trace_id` '
                    "| drop __error__, __error_details__",
                    source=Source.LOKI,
                ),
            ),
            kind=Kind.LOGS,
            width=24,
            height=9,
        ),
    ),
)

_STAGES = Section(
    "Stages",
    (
        Panel(
            title="p95 by stage",
            says="Within which time 95 of 100 questions pass each stage. A stage with a dot is a "
            "part of the one before the dot. The points are single questions: one leads to its "
            "trace.",
            queries=(Query(quantile(0.95, "rag_stage_duration_seconds", "stage"), "{{stage}}"),),
            unit="s",
            runbooks=("RagSearchLatencyBudgetBurn",),
            width=12,
            height=10,
        ),
        Panel(
            title="Where the time goes, on average",
            says="Mean time of the stages that follow one another, stacked: the thickest layer "
            "is the one to look at.",
            queries=(
                Query(
                    mean(
                        "rag_stage_duration_seconds",
                        "stage",
                        'stage=~"queue|embed|search|rerank|generate"',
                    ),
                    "{{stage}}",
                ),
            ),
            kind=Kind.AREAS,
            unit="s",
            runbooks=("RagSearchLatencyBudgetBurn",),
            width=12,
            height=10,
        ),
        Panel(
            title="Whole questions",
            says="How questions spread over their total time. Two bands are two kinds of "
            "question, or two kinds of replica.",
            queries=(Query(buckets("rag_stage_duration_seconds", 'stage="total"'), "{{le}}"),),
            kind=Kind.HEAT,
            unit="s",
        ),
        Panel(
            title="To the first words",
            says="Of streams: to the passages (first event) and to the first words of the answer.",
            queries=tuple(
                Query(quantile(q, name), f"{said} p{round(q * 100)}")
                for said, name in (
                    ("first event", "rag_stream_first_event_seconds"),
                    ("first words", "rag_stream_first_token_seconds"),
                )
                for q in (0.5, 0.95)
            ),
            unit="s",
            bounds=above(1, 2),
            runbooks=("RagFirstEventBudgetBurn",),
        ),
        Panel(
            title="A model's first token",
            says="Of the generator alone, by model: what is left of the time to the first words "
            "without embedding and search.",
            queries=(
                Query(quantile(0.95, "rag_generate_first_token_seconds", "model"), "{{model}} p95"),
                Query(quantile(0.5, "rag_generate_first_token_seconds", "model"), "{{model}} p50"),
            ),
            unit="s",
            runbooks=("RagFirstEventBudgetBurn",),
        ),
    ),
)


JOURNEY = Board(
    uid="rag-journey",
    title="RAG one question's journey",
    about="Where a question's time goes, for all of them and for the one whose trace id is put in.",
    sections=(_ONE, _STAGES, waits.BATCH, waits.HOPS),
    asks=("trace_id",),
)
