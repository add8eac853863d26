"""The retriever's own metrics, in addition to those common to all services."""

from math import nan

from rag_common.observability.metrics import Metrics

# Building a search graph takes between a second and several hours.
_BUILD_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


class RetrieverMetrics:
    """Metrics of indexes, of optimising them, and of backups."""

    def __init__(self, metrics: Metrics) -> None:
        self._indexes(metrics)
        self.backup_age = metrics.gauge(
            "rag_backup_age_seconds",
            "Age of the newest backup, by the file that the backup job touches; infinite if the file does "
            "not exist, NaN if RETRIEVER_BACKUP_STAMP is not set.",
        )
        self.backup_age.set(nan)

    def _indexes(self, metrics: Metrics) -> None:
        self.index_documents = metrics.gauge(
            "rag_index_documents", "Searchable documents of all tenants.", ("index",)
        )
        self.index_chunks = metrics.gauge(
            "rag_index_chunks", "Searchable chunks of all tenants.", ("index",)
        )
        self.index_bytes = metrics.gauge(
            "rag_index_bytes",
            "Size of the index on this service's disk; absent if a Qdrant server stores the index.",
            ("index",),
        )
        self.index_unoptimized = metrics.gauge(
            "rag_index_unoptimized_chunks",
            "Chunks and records written since the search graph was built.",
            ("index",),
        )
        self.index_optimizing = metrics.gauge(
            "rag_index_optimizing", "1 while the search graph is being built, else 0.", ("index",)
        )
        self.index_due = metrics.gauge(
            "rag_index_optimization_due",
            "1 if enough chunks are outside the search graph that it must be built, also while it is being "
            "built; else 0.",
            ("index",),
        )
        self.index_drift = metrics.gauge(
            "rag_index_drift_chunks",
            "Searchable chunks minus the chunks that their documents declare; 0 if consistent.",
            ("index",),
        )
        self.optimize_seconds = metrics.histogram(
            "rag_index_optimize_duration_seconds",
            "Duration of building a search graph; outcome is ok, failed or cancelled.",
            ("outcome",),
            _BUILD_SECONDS,
        )
