"""Vector engines: embedded Qdrant Edge, or a Qdrant server."""
