"""What the platform shows of itself, read for people: traces and metrics."""
