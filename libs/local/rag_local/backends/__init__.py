"""Programs that the local platform uses: Vault, Redis, Envoy, Prometheus, Alertmanager."""
