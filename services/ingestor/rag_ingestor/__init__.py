"""The ingestor: documents in, parsed, split, embedded and stored."""
