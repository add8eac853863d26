"""Data and dependencies of the platform: the index, Redis, Vault, keys, certificates, backups, telemetry."""

from tools.dashboards.board import NO_YES, YES_NO, Board, Kind, Query, above, below, panel, section
from tools.dashboards.promql import quantile, quantiles, rate

_DAY = 86_400

_AGES = section(
    "Expiry and age",
    panel(
        "Certificates",
        "Time until each service's certificate expires. It is renewed after two thirds of its "
        "life: a line below a third means that renewal failed.",
        "min by (service) (rag_certificate_seconds)",
        unit="s",
        bounds=below(_DAY / 24, _DAY / 4),
        see=("RagCertificateExpiring", "RagCertificateNotRenewed"),
        size=(6, 8),
    ),
    panel(
        "Leases of secrets",
        "Time until each service's Vault lease expires. It is normally renewed long before.",
        "min by (service) (rag_secrets_lease_seconds)",
        unit="s",
        bounds=below(300, 900),
        see=("RagSecretsLeaseExpiring",),
        size=(6, 8),
    ),
    panel(
        "Keys of issuers",
        "How long ago the keys were read that tokens are checked with. While it grows, a revoked "
        "key still counts.",
        "max by (issuer) (rag_jwks_age_seconds)",
        unit="s",
        bounds=above(600, 900),
        see=("RagKeysStale",),
        size=(6, 8),
    ),
    panel(
        "Backup",
        "How long ago the index was last backed up, by the stamp that the backup job touches.",
        "max by (instance) (rag_backup_age_seconds)",
        unit="s",
        bounds=above(_DAY, 26 * 3600),
        see=("RagBackupOld",),
        size=(6, 8),
    ),
)

_TELEMETRY = section(
    "Telemetry itself",
    panel(
        "Sent",
        "Spans, log records and metrics per second that the collector accepted.",
        rate("rag_telemetry_exported_total", "service, signal"),
        see=("RagTelemetryDropped",),
    ),
    panel(
        "Dropped",
        "Dropped telemetry: full, because the queue was full; failed, because the collector did "
        "not accept it. Calls are not affected.",
        rate("rag_telemetry_dropped_total", "service, signal, reason"),
        empty="nothing is dropped",
        see=("RagTelemetryDropped",),
    ),
    panel(
        "Waiting",
        "Telemetry that waits to be sent. A full queue drops items.",
        "max by (service, signal) (rag_telemetry_queue)",
        see=("RagTelemetryDropped",),
    ),
)


_INDEX = section(
    "Index",
    panel(
        "Chunks",
        "Chunks in each index. An unexpected drop is a loss of data.",
        "max by (index) (rag_index_chunks)",
        see=("RagIndexDrift",),
    ),
    panel(
        "Documents",
        "Documents in each index.",
        "max by (index) (rag_index_documents)",
        see=("RagIndexDrift",),
    ),
    panel(
        "Size",
        "Bytes of each index on disk. Building the search graph temporarily needs the same amount "
        "again.",
        "max by (index) (rag_index_bytes)",
        unit="bytes",
        see=("RagIndexUnoptimized",),
    ),
    panel(
        "Drift",
        "Chunks in the engine, less those that its documents announce. 0 is right; anything that "
        "stays is a write that was lost or came twice.",
        "max by (index) (abs(rag_index_drift_chunks))",
        bounds=above(1, 1),
        see=("RagIndexDrift",),
    ),
    panel(
        "Not yet in the search graph",
        "Chunks written since the search graph was last built. Searches compare with each of "
        "them, which gets slower as they grow.",
        "max by (index) (rag_index_unoptimized_chunks)",
        bounds=above(5_000, 10_000),
        see=("RagIndexUnoptimized",),
    ),
    panel(
        "Being optimised",
        "Whether the search graph is being built. Reads and writes continue.",
        "max by (index) (rag_index_optimizing)",
        kind=Kind.STATES,
        see=("RagIndexUnoptimized",),
        **NO_YES,
    ),
    panel(
        "Time of an optimise",
        "p95 of building the search graph, by how it ended. It begins at 5,000 new chunks.",
        quantile(0.95, "rag_index_optimize_duration_seconds", "outcome"),
        unit="s",
        see=("RagIndexUnoptimized",),
    ),
    panel(
        "Ingested",
        "Chunks and bytes per second that were ingested and are searchable.",
        Query(rate("rag_ingest_chunks_total"), "chunks"),
        Query(f"{rate('rag_ingest_bytes_total')} / 1024", "KiB"),
        see=("RagIngestFreshnessBudgetBurn",),
    ),
    panel(
        "Documents by outcome",
        "Documents per second: created, replaced, unchanged, failed.",
        rate("rag_ingest_duration_seconds_count", "outcome"),
        see=("RagIngestFreshnessBudgetBurn",),
    ),
)

_SYSTEMS = section(
    "Stores and outside systems",
    panel(
        "Time by system",
        "p95 and p99 of calls to each system, as the service sees them. The points are single "
        "calls.",
        *quantiles((0.95, 0.99), "rag_dependency_duration_seconds", "service, system"),
        unit="s",
        see=("RagDependencyFailing", "rag-journey"),
    ),
    panel(
        "Time by operation",
        "p95 of each operation.",
        quantile(0.95, "rag_dependency_duration_seconds", "system, operation"),
        unit="s",
        see=("RagDependencyFailing",),
    ),
    panel(
        "Errors by system",
        "Calls that failed, by the class of the error, without those that the caller stopped. "
        "Nothing here means that nothing failed.",
        rate("rag_dependency_duration_seconds_count", "system, error", 'error!~"|CANCELLED"'),
        unit="reqps",
        empty="no errors",
        see=("RagDependencyFailing",),
    ),
    panel(
        "Redis",
        "Whether the gateways count quotas in Redis. Without it each counts for itself and calls "
        "go on.",
        "min by (instance) (rag_quota_store_up)",
        kind=Kind.STATES,
        see=("RagQuotaStoreDown",),
        **YES_NO,
    ),
    panel(
        "Vault",
        "Whether each service can read its secrets from Vault. Without Vault, calls continue "
        "until certificates or leases expire.",
        "min by (service) (rag_secrets_up)",
        kind=Kind.STATES,
        see=("RagSecretsDown",),
        **YES_NO,
    ),
    panel(
        "Checks of stores",
        "The named checks of /health/ready that are about stores, secrets and limits, among the "
        "others.",
        "min by (service, check) (rag_check_up)",
        kind=Kind.STATES,
        see=("RagDegraded",),
        **YES_NO,
    ),
)


STORES = Board(
    uid="rag-stores",
    title="RAG data stores",
    about="The index, external systems, everything that expires, and telemetry itself.",
    sections=(_INDEX, _SYSTEMS, _AGES, _TELEMETRY),
    window="now-6h",
)
