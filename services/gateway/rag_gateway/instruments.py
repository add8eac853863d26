"""Everything that the gateway counts and measures besides what every service does."""

import math
from collections.abc import Callable

from rag_common.metrics import COUNTS, SHARES, Metrics


class Instruments:
    """Made once; docs/metrics.md is written from it."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._answers(metrics)
        self._retrieval(metrics)
        self._limits(metrics)
        self._documents(metrics)
        self._access(metrics)

    def cache(self, name: str) -> Callable[[bool], None]:
        """Counts looks into the cache of that name, which are hits or misses."""
        hit, miss = self.caches.labels(name, "hit"), self.caches.labels(name, "miss")
        return lambda found: (hit if found else miss).inc()

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
            "rag_stream_first_token_seconds", "StreamAnswer: from arrival to the first words."
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
            "rag_answer_tokens", "Tokens that answers took.", ("model", "kind")
        )
        self.degraded = metrics.counter(
            "rag_degraded", "Replies made without a part that was away.", ("part",)
        )
        for part in ("reranker", "generator", "language_model", "limits"):
            self.degraded.labels(part)

    def _retrieval(self, metrics: Metrics) -> None:
        self.searches = metrics.counter(
            "rag_searches", "Searches, by the lists asked for and by outcome.", ("mode", "outcome")
        )
        self.top_score = metrics.histogram(
            "rag_retrieval_top_score", "Fused score of the first passage, 0 to 1.", bounds=SHARES
        )
        self.passages = metrics.histogram(
            "rag_retrieval_passages", "Passages that a search gave.", bounds=COUNTS
        )
        self.waiting = metrics.gauge("rag_searches_waiting", "Searches that wait for their turn.")
        self.running = metrics.gauge("rag_searches_running", "Searches that have their turn.")
        self.places = metrics.gauge("rag_searches_capacity", "Most searches at once.")
        self.oldest = metrics.gauge(
            "rag_searches_oldest_wait_seconds", "How long the first in line has waited."
        )
        self.index_fits = metrics.gauge(
            "rag_index_fits",
            "Whether index and embedding model fit each other, as last seen; NaN before that.",
        )
        self.index_fits.set(math.nan)

    def _limits(self, metrics: Metrics) -> None:
        self.caches = metrics.counter(
            "rag_cache_requests", "Looks into a cache.", ("cache", "outcome")
        )
        self.quota_refusals = metrics.counter(
            "rag_quota_refusals",
            "Calls refused because a limit is used up.",
            ("subject", "unit", "tier"),
        )
        self.quota_store_up = metrics.gauge(
            "rag_quota_store_up",
            "Whether the replicas' shared limits answer; 1 where there are none to share.",
        )
        self.tokens_spent = metrics.counter(
            "rag_tokens_spent", "Tokens charged to budgets.", ("tier",)
        )

    def _documents(self, metrics: Metrics) -> None:
        self.ingests = metrics.histogram(
            "rag_ingest_duration_seconds",
            "A document from its arrival until it can be found, or was found to be there.",
            ("outcome",),
        )
        self.ingest_bytes = metrics.counter("rag_ingest_bytes", "Bytes of documents taken in.")
        self.ingest_chunks = metrics.counter("rag_ingest_chunks", "Chunks that they were cut into.")

    def _access(self, metrics: Metrics) -> None:
        self.audit_events = metrics.counter(
            "rag_audit_events", "Entries of the audit log.", ("event", "outcome")
        )
        self.jwks_age = metrics.gauge(
            "rag_jwks_age_seconds", "Since an issuer's keys were last read.", ("issuer",)
        )
