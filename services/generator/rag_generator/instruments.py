"""What the generator counts and measures besides what every service does."""

from rag_common.metrics import Metrics


class Instruments:
    """Of answers and of calls to language models; model is a configured name, or extractive."""

    def __init__(self, metrics: Metrics) -> None:
        self.dependencies = metrics.dependencies
        self.durations = metrics.histogram(
            "rag_generate_duration_seconds",
            "From a question with its passages to the whole answer; outcome is answered, no_passages, "
            "weak_evidence, ungrounded, cut_short, failed or cancelled.",
            ("model", "outcome"),
        )
        self.first_tokens = metrics.histogram(
            "rag_generate_first_token_seconds",
            "From a question with its passages to the first words of an answer.",
            ("model",),
        )
        self.tokens = metrics.counter(
            "rag_generate_tokens",
            "Tokens that a language model counted; kind is input or output.",
            ("model", "kind"),
        )
        self.retries = metrics.counter(
            "rag_generate_retries", "Tries after the first to reach a language model.", ("model",)
        )
        self.fallbacks = metrics.counter(
            "rag_generate_fallbacks",
            "Answers that quoted the passages because this language model was away.",
            ("model",),
        )
