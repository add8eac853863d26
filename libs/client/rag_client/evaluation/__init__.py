"""Quality, measured through a running gateway."""
