"""What a question waits for on its way: the model's queue and batches, caches, and other systems."""

from scripts.dashboards.board import Kind, Panel, Query, Section, above
from scripts.dashboards.promql import buckets, mean, quantile, rate, share

BATCH = Section(
    "Queue and batch",
    (
        Panel(
            title="Wait for the model",
            says="Time that texts wait in the embedder's queue. Questions go first; documents "
            "may wait.",
            queries=tuple(
                Query(
                    quantile(q, "rag_embed_wait_seconds", "priority"),
                    f"{{{{priority}}}} p{round(q * 100)}",
                )
                for q in (0.5, 0.95)
            ),
            unit="s",
            bounds=above(0.05, 0.1),
            runbooks=("RagEmbeddingQueueSlow",),
            leads=("rag-capacity",),
        ),
        Panel(
            title="Texts in a batch",
            says="How many texts are computed together. Large ones mean load; ones of a single "
            "text mean that there is none.",
            queries=(
                Query(mean("rag_embed_batch_texts"), "mean"),
                Query(quantile(0.95, "rag_embed_batch_texts"), "p95"),
            ),
            runbooks=("RagEmbeddingQueueSlow",),
        ),
        Panel(
            title="Tokens in a batch",
            says="What a batch weighs. Its time follows its tokens, not its texts.",
            queries=(
                Query(mean("rag_embed_batch_tokens"), "mean"),
                Query(quantile(0.95, "rag_embed_batch_tokens"), "p95"),
            ),
            runbooks=("RagEmbeddingQueueSlow",),
        ),
        Panel(
            title="Time of a batch",
            says="How long the model computes. It grows with tokens, and where cores are short.",
            queries=(Query(buckets("rag_embed_batch_seconds"), "{{le}}"),),
            kind=Kind.HEAT,
            unit="s",
            runbooks=("RagEmbeddingQueueSlow",),
        ),
        Panel(
            title="Caches that hit",
            says="Share of requests that a cache answered. A fall of tokens or api_keys costs a "
            "signature or a look-up for each call.",
            queries=(
                Query(share("rag_cache_requests_total", 'outcome="hit"', "cache"), "{{cache}}"),
            ),
            unit="percentunit",
            most=1,
        ),
        Panel(
            title="Caches that are asked",
            says="How often each cache is asked, and what came of it.",
            queries=(
                Query(rate("rag_cache_requests_total", "cache, outcome"), "{{cache}} {{outcome}}"),
            ),
            kind=Kind.AREAS,
            unit="reqps",
        ),
    ),
)

HOPS = Section(
    "Hops",
    (
        Panel(
            title="Calls from service to service",
            says="p95 as the caller sees it, the network included. Much more than the callee's "
            "own time is the network or an event loop that lags.",
            queries=(
                Query(
                    quantile(0.95, "rag_rpc_client_duration_seconds", "peer, method"),
                    "{{peer}} {{method}}",
                ),
            ),
            unit="s",
            runbooks=("RagPeerFailing",),
            width=12,
        ),
        Panel(
            title="Stores and outside systems",
            says="p95 of each operation, by the system that was asked.",
            queries=(
                Query(
                    quantile(0.95, "rag_dependency_duration_seconds", "service, system, operation"),
                    "{{service}} {{system}} {{operation}}",
                ),
            ),
            unit="s",
            runbooks=("RagDependencyFailing",),
            leads=("rag-stores",),
            width=12,
        ),
    ),
)
