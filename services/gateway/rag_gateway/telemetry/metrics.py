"""The gateway's metrics, besides those that every service has."""

import math

from rag_common.observability.metrics import COUNTS, SHARES, CacheLookups, Metrics


class GatewayMetrics:
    """Created once per process; docs/metrics.md is generated from it."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._answers(metrics)
        self._retrieval(metrics)
        self._limits(metrics)
        self._documents(metrics)
        self._access(metrics)

    def _answers(self, metrics: Metrics) -> None:
        self.stages = metrics.histogram(
            "rag_stage_duration_seconds",
            "Stages of a search or an answer; embed.* are parts of embed.",
            ("stage",),
        )
        self.first_event = metrics.histogram(
            "rag_stream_first_event_seconds",
            "StreamAnswer: from arrival to the first event with content.",
        )
        self.first_token = metrics.histogram(
            "rag_stream_first_token_seconds", "StreamAnswer: from arrival to the first text."
        )
        self.answers = metrics.counter(
            "rag_answers",
            "Answers by outcome: answered, no_passages, weak_evidence, ungrounded, cut_short, failed.",
            ("outcome",),
        )
        for outcome in ("answered", "cut_short", "failed"):
            self.answers.labels(outcome)
        self.confidence = metrics.histogram(
            "rag_answer_confidence", "Confidence of answers, 0 to 1.", bounds=SHARES
        )
        self.groundedness = metrics.histogram(
            "rag_answer_groundedness",
            "Share of an answer's sentences that a passage supports, 0 to 1.",
            bounds=SHARES,
        )
        self.answer_tokens = metrics.counter(
            "rag_answer_tokens", "Tokens that answers used.", ("model", "kind")
        )
        self.degraded = metrics.counter(
            "rag_degraded", "Responses without a part that was unavailable.", ("part",)
        )
        for part in ("reranker", "generator", "language_model", "limits"):
            self.degraded.labels(part)

    def _retrieval(self, metrics: Metrics) -> None:
        self.searches = metrics.counter(
            "rag_searches", "Searches, by retrieval mode and outcome.", ("mode", "outcome")
        )
        self.top_score = metrics.histogram(
            "rag_retrieval_top_score", "Fused score of the first passage, 0 to 1.", bounds=SHARES
        )
        self.passages = metrics.histogram(
            "rag_retrieval_passages", "Passages that a search returned.", bounds=COUNTS
        )
        self.searches_waiting = metrics.gauge(
            "rag_searches_waiting", "Searches that wait for a slot."
        )
        self.searches_running = metrics.gauge("rag_searches_running", "Searches that hold a slot.")
        self.searches_capacity = metrics.gauge(
            "rag_searches_capacity", "Maximum number of concurrent searches."
        )
        self.searches_oldest_wait = metrics.gauge(
            "rag_searches_oldest_wait_seconds", "How long the oldest waiting search has waited."
        )
        self.searches_refused = metrics.counter(
            "rag_searches_refused",
            "Searches that were refused, as their wait for a slot was too long.",
        )
        self.index_compatible = metrics.gauge(
            "rag_index_fits",
            "Whether the index holds vectors of the embedding model, at the last check; NaN before it.",
        )
        self.index_compatible.set(math.nan)

    def _limits(self, metrics: Metrics) -> None:
        self.caches = CacheLookups(metrics)
        self.quota_refusals = metrics.counter(
            "rag_quota_refusals",
            "Calls refused because a quota is exhausted.",
            ("subject", "unit", "tier"),
        )
        self.quota_store_up = metrics.gauge(
            "rag_quota_store_up",
            "Whether the replicas' shared quota store is available; 1 if none is configured.",
        )
        self.tokens_spent = metrics.counter(
            "rag_tokens_spent", "Tokens charged to budgets.", ("tier",)
        )

    def _documents(self, metrics: Metrics) -> None:
        self.ingests = metrics.histogram(
            "rag_ingest_duration_seconds",
            "A document from its arrival until it is searchable, or is recognised as unchanged.",
            ("outcome",),
        )
        self.ingest_bytes = metrics.counter("rag_ingest_bytes", "Bytes of ingested documents.")
        self.ingest_chunks = metrics.counter("rag_ingest_chunks", "Chunks of ingested documents.")

    def _access(self, metrics: Metrics) -> None:
        self.audit_events = metrics.counter(
            "rag_audit_events", "Entries of the audit log.", ("event", "outcome")
        )
        self.jwks_age = metrics.gauge(
            "rag_jwks_age_seconds", "Seconds since an issuer's keys were last read.", ("issuer",)
        )
