"""Utilisation of workers: the embedder's lanes and the ingestor's worker processes."""

from tools.dashboards.board import Kind, Query, above, panel, section
from tools.dashboards.promql import quantile, rate

EMBEDDER = section(
    "Embedder",
    panel(
        "Queue",
        "Texts that wait for the model, by priority. Questions take precedence over documents.",
        "sum by (instance, priority) (rag_embed_queue_texts)",
        see=("RagEmbeddingQueueFull",),
    ),
    panel(
        "Queue in use",
        "Waiting texts, compared with the queue's capacity. Above it texts are rejected with "
        "QUEUE_FULL and a retry delay.",
        "sum by (instance) (rag_embed_queue_texts) / sum by (instance) (rag_embed_queue_capacity)",
        unit="percentunit",
        bounds=above(0.5, 0.8),
        most=1,
        see=("RagEmbeddingQueueFull",),
    ),
    panel(
        "Oldest text in the queue",
        "Waiting time of the oldest waiting text. It grows without limit if the model is stuck.",
        Query("rag_embed_queue_oldest_seconds", "{{instance}}"),
        unit="s",
        bounds=above(5, 10),
        see=("RagEmbeddingQueueSlow",),
    ),
    panel(
        "Tokens that wait",
        "The same in tokens, which determine inference time. Divided by the tokens embedded per "
        "second, it is the time to drain the queue.",
        Query("rag_embed_queue_tokens", "{{instance}}"),
        see=("RagEmbeddingQueueSlow",),
    ),
    panel(
        "Lanes in use",
        "Share of the places in which texts are computed at once. Full lanes with an empty queue "
        "are right; full lanes with a long queue want another replica.",
        Query("rag_embed_lanes_busy / rag_embed_lanes", "{{instance}}"),
        unit="percentunit",
        most=1,
        see=("RagEmbeddingQueueFull",),
    ),
    panel(
        "Embedded",
        "Tokens per second that the model processes, by priority: the embedder's capacity, if its "
        "lanes are full.",
        Query(rate("rag_embed_tokens_total", "priority"), "{{priority}} tokens"),
        Query(rate("rag_embed_texts_total", "priority"), "{{priority}} texts"),
        see=("RagEmbeddingQueueFull",),
    ),
    panel(
        "Model in memory",
        "How long each replica took to load its model. While it loads, calls get MODEL_LOADING.",
        Query("max by (instance) (rag_model_loaded)", "loaded"),
        Query("max by (instance) (rag_model_load_seconds)", "took", unit="s"),
        kind=Kind.TABLE,
        see=("RagModelNotLoaded",),
    ),
)

RETRIEVER = section(
    "Retriever",
    panel(
        "Workers that read files",
        "Busy worker processes and documents that wait for one, against the workers that there "
        "are.",
        Query("rag_split_workers_busy", "{{instance}} busy"),
        Query("rag_split_waiting", "{{instance}} waiting"),
        Query("rag_split_workers", "{{instance}} workers"),
        see=("RagParseWorkersBusy",),
        size=(12, 8),
    ),
    panel(
        "Reading a file",
        "p95 of reading and cutting a document, by its type and what came of it.",
        quantile(0.95, "rag_split_duration_seconds", "media_type, outcome"),
        unit="s",
        see=("RagIngestFreshnessBudgetBurn",),
        size=(12, 8),
    ),
)
