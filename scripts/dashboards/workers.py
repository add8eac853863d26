"""How full the places are where work is done: the embedder's lanes, the retriever's worker processes."""

from scripts.dashboards.board import Kind, Panel, Query, Section, above
from scripts.dashboards.promql import quantile, rate

EMBEDDER = Section(
    "Embedder",
    (
        Panel(
            title="Queue",
            says="Texts that wait for the model, by priority. Questions overtake documents.",
            queries=(
                Query(
                    "sum by (instance, priority) (rag_embed_queue_texts)",
                    "{{instance}} {{priority}}",
                ),
            ),
            runbooks=("RagEmbeddingQueueFull",),
        ),
        Panel(
            title="Queue in use",
            says="Texts that wait, against the most that may. Above it texts are refused with "
            "CONCURRENCY_LIMIT and a time to come back.",
            queries=(
                Query(
                    "sum by (instance) (rag_embed_queue_texts) / "
                    "sum by (instance) (rag_embed_queue_capacity)",
                    "{{instance}}",
                ),
            ),
            unit="percentunit",
            bounds=above(0.5, 0.8),
            most=1,
            runbooks=("RagEmbeddingQueueFull",),
        ),
        Panel(
            title="Oldest text in the queue",
            says="How long the text waits that has waited longest. It grows without end where "
            "the model stands still.",
            queries=(Query("rag_embed_queue_oldest_seconds", "{{instance}}"),),
            unit="s",
            bounds=above(5, 10),
            runbooks=("RagEmbeddingQueueSlow",),
        ),
        Panel(
            title="Tokens that wait",
            says="The same in tokens, which is what the model's time goes by. Divided by the "
            "tokens embedded a second it is how long the queue takes.",
            queries=(Query("rag_embed_queue_tokens", "{{instance}}"),),
            runbooks=("RagEmbeddingQueueSlow",),
        ),
        Panel(
            title="Lanes in use",
            says="Share of the places in which texts are computed at once. Full lanes with an "
            "empty queue are right; full lanes with a long queue want another replica.",
            queries=(Query("rag_embed_lanes_busy / rag_embed_lanes", "{{instance}}"),),
            unit="percentunit",
            most=1,
            runbooks=("RagEmbeddingQueueFull",),
        ),
        Panel(
            title="Embedded",
            says="Tokens a second that the model computes, by priority: what the embedder can "
            "do, when its lanes are full.",
            queries=(
                Query(rate("rag_embed_tokens_total", "priority"), "{{priority}} tokens"),
                Query(rate("rag_embed_texts_total", "priority"), "{{priority}} texts"),
            ),
            runbooks=("RagEmbeddingQueueFull",),
        ),
        Panel(
            title="Model in memory",
            says="How long each replica took to load its model. While it loads, calls get "
            "MODEL_LOADING.",
            queries=(
                Query("max by (instance) (rag_model_loaded)", "loaded"),
                Query("max by (instance) (rag_model_load_seconds)", "took", unit="s"),
            ),
            kind=Kind.TABLE,
            runbooks=("RagModelNotLoaded",),
        ),
    ),
)

RETRIEVER = Section(
    "Retriever",
    (
        Panel(
            title="Workers that read files",
            says="Busy worker processes and documents that wait for one, against the workers "
            "that there are.",
            queries=(
                Query("rag_split_workers_busy", "{{instance}} busy"),
                Query("rag_split_waiting", "{{instance}} waiting"),
                Query("rag_split_workers", "{{instance}} workers"),
            ),
            runbooks=("RagParseWorkersBusy",),
            width=12,
        ),
        Panel(
            title="Reading a file",
            says="p95 of reading and cutting a document, by its type and what came of it.",
            queries=(
                Query(
                    quantile(0.95, "rag_split_duration_seconds", "media_type, outcome"),
                    "{{media_type}} {{outcome}}",
                ),
            ),
            unit="s",
            runbooks=("RagIngestFreshnessBudgetBurn",),
            width=12,
        ),
    ),
)
