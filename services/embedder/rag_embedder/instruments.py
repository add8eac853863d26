"""What the embedder counts and measures besides what every service does."""

from rag_common.metrics import COUNTS, Metrics

_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768)


class Instruments:
    """Of the queue in front of the model, its batches, and the model; priority is query or document."""

    def __init__(self, metrics: Metrics) -> None:
        self._queue(metrics)
        self._batches(metrics)
        self._model(metrics)

    def _queue(self, metrics: Metrics) -> None:
        self.queue_texts = metrics.gauge(
            "rag_embed_queue_texts", "Texts that wait for the model.", ("priority",)
        )
        self.queue_tokens = metrics.gauge(
            "rag_embed_queue_tokens", "Tokens of the texts that wait for the model."
        )
        self.queue_capacity = metrics.gauge(
            "rag_embed_queue_capacity", "Most texts that wait; more are refused."
        )
        self.queue_oldest = metrics.gauge(
            "rag_embed_queue_oldest_seconds", "How long the oldest text has waited by now."
        )
        self.waits = metrics.histogram(
            "rag_embed_wait_seconds",
            "How long the texts of a request waited for the model, the last of them.",
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
            "rag_embed_batch_seconds", "How long the model took for a batch."
        )
        self.texts = metrics.counter("rag_embed_texts", "Texts computed.", ("priority",))
        self.tokens = metrics.counter("rag_embed_tokens", "Tokens computed.", ("priority",))
        self.lanes = metrics.gauge("rag_embed_lanes", "Batches that can be computed at once.")
        self.lanes_busy = metrics.gauge("rag_embed_lanes_busy", "Batches that are being computed.")

    def _model(self, metrics: Metrics) -> None:
        self.model_loaded = metrics.gauge(
            "rag_model_loaded", "Whether the model is in memory and texts are taken."
        )
        self.model_load_seconds = metrics.gauge(
            "rag_model_load_seconds", "How long loading the model took."
        )
        self.model_info = metrics.gauge(
            "rag_model_info",
            "What computes; always 1.",
            ("model", "fingerprint", "runtime", "precision"),
        )
