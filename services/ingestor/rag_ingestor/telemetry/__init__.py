"""The metrics of the ingestor."""
