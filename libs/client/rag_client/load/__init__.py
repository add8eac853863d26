"""Speed, measured through a running gateway."""
