"""The edge: renders Envoy's configuration, for a laptop and for production."""
