"""Tests of the ingestor."""
