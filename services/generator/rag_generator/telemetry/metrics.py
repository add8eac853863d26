"""The generator's own metrics, besides those of every service."""

from rag_common.observability.metrics import Metrics


class GeneratorMetrics:
    """Metrics of answers and model calls; label `model` is a configured name or extractive."""

    def __init__(self, metrics: Metrics) -> None:
        self.dependencies = metrics.dependencies
        self.durations = metrics.histogram(
            "rag_generate_duration_seconds",
            "From the request to the complete answer; outcome is answered, no_passages, "
            "weak_evidence, ungrounded, cut_short, failed or cancelled.",
            ("model", "outcome"),
        )
        self.first_tokens = metrics.histogram(
            "rag_generate_first_token_seconds",
            "From the request to the first text of an answer.",
            ("model",),
        )
        self.tokens = metrics.counter(
            "rag_generate_tokens",
            "Tokens reported by language models; kind is input or output.",
            ("model", "kind"),
        )
        self.retries = metrics.counter(
            "rag_generate_retries", "Retries of calls to a language model.", ("model",)
        )
        self.fallbacks = metrics.counter(
            "rag_generate_fallbacks",
            "Answers by the extractive backend because this model was unavailable.",
            ("model",),
        )
