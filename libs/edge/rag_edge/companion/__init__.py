"""The container beside Envoy: drains it before it is ended, and keeps its certificates current."""
