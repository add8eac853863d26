"""Models: their sources, and how they are prepared for a runtime."""
