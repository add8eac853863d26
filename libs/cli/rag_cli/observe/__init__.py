"""Traces and metrics of a running platform."""
