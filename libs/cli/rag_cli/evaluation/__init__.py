"""Quality metrics, measured through a running gateway."""
