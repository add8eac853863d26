"""Export by OTLP of spans, log lines and metrics, which never holds up a call."""
