"""The plaintext HTTP port: metrics, health pages, log level."""
