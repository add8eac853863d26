"""The embedder's own metrics, besides those of every service."""

from rag_common.observability.metrics import COUNTS, CacheLookups, Metrics

_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768)


class EmbedderMetrics:
    """Metrics of the queue, the batches and the model; label `priority` is query or document."""

    def __init__(self, metrics: Metrics) -> None:
        self._queue(metrics)
        self._batches(metrics)
        self._model(metrics)
        self.caches = CacheLookups(metrics)

    def _queue(self, metrics: Metrics) -> None:
        self.queue_texts = metrics.gauge(
            "rag_embed_queue_texts", "Texts waiting for the model.", ("priority",)
        )
        self.queue_tokens = metrics.gauge(
            "rag_embed_queue_tokens", "Tokens of the texts waiting for the model."
        )
        self.queue_capacity = metrics.gauge(
            "rag_embed_queue_capacity", "Maximum waiting texts; more are rejected."
        )
        self.queue_oldest = metrics.gauge(
            "rag_embed_queue_oldest_seconds", "Age of the oldest waiting text."
        )
        self.waits = metrics.histogram(
            "rag_embed_wait_seconds",
            "Longest wait of a request's texts for the model.",
            ("priority",),
        )

    def _batches(self, metrics: Metrics) -> None:
        self.batch_texts = metrics.histogram(
            "rag_embed_batch_texts", "Texts of a batch.", bounds=COUNTS
        )
        self.batch_tokens = metrics.histogram(
            "rag_embed_batch_tokens", "Tokens of a batch, without padding.", bounds=_TOKENS
        )
        self.batch_seconds = metrics.histogram(
            "rag_embed_batch_seconds", "Time the model took for a batch."
        )
        self.texts = metrics.counter("rag_embed_texts", "Texts computed.", ("priority",))
        self.tokens = metrics.counter("rag_embed_tokens", "Tokens computed.", ("priority",))
        self.lanes = metrics.gauge("rag_embed_lanes", "Batches that can be computed at once.")
        self.lanes_busy = metrics.gauge("rag_embed_lanes_busy", "Batches being computed.")

    def _model(self, metrics: Metrics) -> None:
        self.model_loaded = metrics.gauge(
            "rag_model_loaded", "1 if the model is loaded and requests are accepted, else 0."
        )
        self.model_load_seconds = metrics.gauge(
            "rag_model_load_seconds", "Time it took to load the model."
        )
        self.model_info = metrics.gauge(
            "rag_model_info",
            "The loaded model; always 1.",
            ("model", "fingerprint", "runtime", "precision"),
        )
