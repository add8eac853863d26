"""The client's own types: options, filters, results and events."""
