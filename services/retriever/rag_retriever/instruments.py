"""What the retriever counts and measures besides what every service does."""

from math import nan

from rag_common.metrics import Metrics

# Building a search graph takes from a second to hours.
_BUILD_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


class Instruments:
    """Of the indexes, of optimising them, of splitting documents, and of backups."""

    def __init__(self, metrics: Metrics) -> None:
        self._indexes(metrics)
        self._splitting(metrics)
        self.backup_age = metrics.gauge(
            "rag_backup_age_seconds",
            "How old the newest backup is, by the file that its job touches: infinite where that is "
            "not there, NaN where RETRIEVER_BACKUP_STAMP names none.",
        )
        self.backup_age.set(nan)

    def _indexes(self, metrics: Metrics) -> None:
        self.index_documents = metrics.gauge(
            "rag_index_documents", "Documents that can be found, of all tenants.", ("index",)
        )
        self.index_chunks = metrics.gauge(
            "rag_index_chunks", "Chunks that can be found, of all tenants.", ("index",)
        )
        self.index_bytes = metrics.gauge(
            "rag_index_bytes",
            "Bytes on this service's disk; absent where a Qdrant server keeps the index.",
            ("index",),
        )
        self.index_unoptimized = metrics.gauge(
            "rag_index_unoptimized_chunks",
            "Chunks and records written since the search graph was built.",
            ("index",),
        )
        self.index_optimizing = metrics.gauge(
            "rag_index_optimizing", "Whether the search graph is being built.", ("index",)
        )
        self.index_drift = metrics.gauge(
            "rag_index_drift_chunks",
            "Chunks that can be found less those that their documents announce; 0 is right.",
            ("index",),
        )
        self.optimize_seconds = metrics.histogram(
            "rag_index_optimize_duration_seconds",
            "How long building a search graph took; outcome is ok, failed or cancelled.",
            ("outcome",),
            _BUILD_SECONDS,
        )

    def _splitting(self, metrics: Metrics) -> None:
        self.split_seconds = metrics.histogram(
            "rag_split_duration_seconds",
            "How long a document took to be read and cut, with waiting for a worker; outcome is ok, "
            "refused (the document is at fault), overloaded, failed or cancelled.",
            ("media_type", "outcome"),
        )
        self.split_workers = metrics.gauge(
            "rag_split_workers", "Most documents that workers read at once."
        )
        self.split_busy = metrics.gauge("rag_split_workers_busy", "Documents that workers read.")
        self.split_waiting = metrics.gauge("rag_split_waiting", "Documents that wait for a worker.")
