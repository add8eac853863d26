"""The models: how long they take, what they cost, and whether they answer."""

from scripts.dashboards.board import Kind, Panel, Query, Section
from scripts.dashboards.promql import quantile, rate

SECTION = Section(
    "Models",
    (
        Panel(
            title="Time of an answer by model",
            says="p95 of the generator, by model and how it ended.",
            queries=(
                Query(
                    quantile(0.95, "rag_generate_duration_seconds", "model, outcome"),
                    "{{model}} {{outcome}}",
                ),
            ),
            unit="s",
            runbooks=("RagFirstEventBudgetBurn",),
        ),
        Panel(
            title="Tokens of answers",
            says="Tokens that answers read and wrote a second, by model: what a paid model costs.",
            queries=(Query(rate("rag_answer_tokens_total", "model, kind"), "{{model}} {{kind}}"),),
            runbooks=("RagTierRefused",),
            leads=("rag-tenants",),
        ),
        Panel(
            title="Tokens of the generator",
            says="The same as the generator counts them, calls of other clients of it included.",
            queries=(
                Query(rate("rag_generate_tokens_total", "model, kind"), "{{model}} {{kind}}"),
            ),
            runbooks=("RagTierRefused",),
        ),
        Panel(
            title="A language model that does not answer",
            says="Tries after the first, and answers for which the passages were quoted because "
            "no try succeeded.",
            queries=(
                Query(rate("rag_generate_retries_total", "model"), "{{model}} tried again"),
                Query(rate("rag_generate_fallbacks_total", "model"), "{{model}} quoted instead"),
            ),
            unit="reqps",
            runbooks=("RagLanguageModelDown",),
        ),
        Panel(
            title="What embeds",
            says="The embedding model of each replica. Two fingerprints at once cannot share an "
            "index.",
            queries=(
                Query(
                    "count by (model, fingerprint, runtime, precision) (rag_model_info)", "replicas"
                ),
            ),
            kind=Kind.TABLE,
            runbooks=("RagIndexMismatch",),
            width=16,
        ),
    ),
)
