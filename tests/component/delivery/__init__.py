"""The delivery of releases, with a real Prometheus."""
