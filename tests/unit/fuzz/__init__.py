"""Fuzzing of the public API."""
