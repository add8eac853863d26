"""What leaves by OTLP: spans, log lines and readings of metrics, never holding up who makes them."""
