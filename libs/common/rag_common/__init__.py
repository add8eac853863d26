"""What every service shares: errors, settings, logs, telemetry and the gRPC bootstrap."""
