"""Tests of the four services together, as processes."""
