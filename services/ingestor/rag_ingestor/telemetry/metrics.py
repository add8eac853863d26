"""The ingestor's own metrics, in addition to those common to all services."""

from rag_common.observability.metrics import Metrics


class IngestorMetrics:
    """Metrics of documents on their way into the index."""

    def __init__(self, metrics: Metrics) -> None:
        self.split_seconds = metrics.histogram(
            "rag_split_duration_seconds",
            "Duration of parsing and splitting a document, including the wait for a worker; outcome is ok, "
            "refused (invalid document), overloaded, failed or cancelled.",
            ("media_type", "outcome"),
        )
        self.split_workers = metrics.gauge(
            "rag_split_workers", "Maximum number of documents parsed concurrently."
        )
        self.split_busy = metrics.gauge(
            "rag_split_workers_busy", "Documents being parsed by workers."
        )
        self.split_waiting = metrics.gauge("rag_split_waiting", "Documents waiting for a worker.")
        self.upload_bytes = metrics.gauge(
            "rag_ingest_upload_bytes", "Bytes of documents in memory that have not been split yet."
        )
        self.upload_capacity = metrics.gauge(
            "rag_ingest_upload_capacity_bytes", "Maximum of rag_ingest_upload_bytes."
        )
