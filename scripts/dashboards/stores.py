"""What the platform keeps and depends on: the index, Redis, Vault, keys, certificates, backups, telemetry."""

from scripts.dashboards import upkeep
from scripts.dashboards.board import (
    NO_YES,
    YES_NO,
    Board,
    Kind,
    Panel,
    Query,
    Section,
    above,
    below,
)
from scripts.dashboards.promql import quantile, rate

_INDEX = Section(
    "Index",
    (
        Panel(
            title="Chunks",
            says="Chunks in each index. A fall that nobody ordered is a loss.",
            queries=(Query("max by (index) (rag_index_chunks)", "{{index}}"),),
            runbooks=("RagIndexDrift",),
        ),
        Panel(
            title="Documents",
            says="Documents in each index.",
            queries=(Query("max by (index) (rag_index_documents)", "{{index}}"),),
            runbooks=("RagIndexDrift",),
        ),
        Panel(
            title="Size",
            says="Bytes of each index on disk. Building the search graph needs the same once more.",
            queries=(Query("max by (index) (rag_index_bytes)", "{{index}}"),),
            unit="bytes",
            runbooks=("RagIndexNotOptimized",),
        ),
        Panel(
            title="Drift",
            says="Chunks in the engine, less those that its documents announce. 0 is right; "
            "anything that stays is a write that was lost or came twice.",
            queries=(Query("max by (index) (abs(rag_index_drift_chunks))", "{{index}}"),),
            bounds=above(1, 1),
            runbooks=("RagIndexDrift",),
        ),
        Panel(
            title="Not yet in the search graph",
            says="Chunks written since the last optimise. They are found by comparison with "
            "each, which takes longer the more there are.",
            queries=(Query("max by (index) (rag_index_unoptimized_chunks)", "{{index}}"),),
            bounds=above(5_000, 10_000),
            runbooks=("RagIndexNotOptimized",),
        ),
        Panel(
            title="Being optimised",
            says="Whether the search graph is being built at this moment. Reads and writes go on.",
            queries=(Query("max by (index) (rag_index_optimizing)", "{{index}}"),),
            kind=Kind.STATES,
            bounds=above(1, 2),
            names=NO_YES,
            runbooks=("RagIndexNotOptimized",),
        ),
        Panel(
            title="Time of an optimise",
            says="p95 of building the search graph, by how it ended. It begins at 5,000 new "
            "chunks.",
            queries=(
                Query(
                    quantile(0.95, "rag_index_optimize_duration_seconds", "outcome"), "{{outcome}}"
                ),
            ),
            unit="s",
            runbooks=("RagIndexNotOptimized",),
        ),
        Panel(
            title="Ingested",
            says="Chunks and bytes a second that came in and are searchable.",
            queries=(
                Query(rate("rag_ingest_chunks_total"), "chunks"),
                Query(f"{rate('rag_ingest_bytes_total')} / 1024", "KiB"),
            ),
            runbooks=("RagIngestFreshnessBudgetBurn",),
        ),
        Panel(
            title="Documents by outcome",
            says="Documents a second: created, replaced, unchanged, failed.",
            queries=(Query(rate("rag_ingest_duration_seconds_count", "outcome"), "{{outcome}}"),),
            runbooks=("RagIngestFreshnessBudgetBurn",),
        ),
    ),
)

_SYSTEMS = Section(
    "Stores and outside systems",
    (
        Panel(
            title="Time by system",
            says="p95 and p99 of calls to each system, as the service sees them. The points are "
            "single calls.",
            queries=tuple(
                Query(
                    quantile(q, "rag_dependency_duration_seconds", "service, system"),
                    f"{{{{service}}}} {{{{system}}}} p{round(q * 100)}",
                )
                for q in (0.95, 0.99)
            ),
            unit="s",
            runbooks=("RagDependencyFailing",),
            leads=("rag-journey",),
        ),
        Panel(
            title="Time by operation",
            says="p95 of each operation.",
            queries=(
                Query(
                    quantile(0.95, "rag_dependency_duration_seconds", "system, operation"),
                    "{{system}} {{operation}}",
                ),
            ),
            unit="s",
            runbooks=("RagDependencyFailing",),
        ),
        Panel(
            title="Errors by system",
            says="Calls that failed, by the class of the error, without those that the caller "
            "stopped. Nothing here means that nothing failed.",
            empty="no errors",
            queries=(
                Query(
                    rate(
                        "rag_dependency_duration_seconds_count",
                        "system, error",
                        'error!~"|CANCELLED"',
                    ),
                    "{{system}} {{error}}",
                ),
            ),
            unit="reqps",
            runbooks=("RagDependencyFailing",),
        ),
        Panel(
            title="Redis",
            says="Whether the gateways count quotas in Redis. Without it each counts for itself "
            "and calls go on.",
            queries=(Query("min by (instance) (rag_quota_store_up)", "{{instance}}"),),
            kind=Kind.STATES,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagQuotaStoreDown",),
        ),
        Panel(
            title="Vault",
            says="Whether each service reads its secrets from Vault. Without it calls go on "
            "until the certificates or leases end.",
            queries=(Query("min by (service) (rag_secrets_up)", "{{service}}"),),
            kind=Kind.STATES,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagSecretsDown",),
        ),
        Panel(
            title="Checks of stores",
            says="The named checks of /health/ready that are about stores, secrets and limits, "
            "among the others.",
            queries=(
                Query(
                    "min by (service, check) (rag_check_up)",
                    "{{service}} {{check}}",
                ),
            ),
            kind=Kind.STATES,
            bounds=below(1, 1),
            names=YES_NO,
            runbooks=("RagDegraded",),
        ),
    ),
)


STORES = Board(
    uid="rag-stores",
    title="RAG data stores",
    about="The index, the systems that the services ask, what ends or grows old, and telemetry itself.",
    sections=(_INDEX, _SYSTEMS, upkeep.AGES, upkeep.TELEMETRY),
    window="now-6h",
)
