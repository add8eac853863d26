"""Unit tests of the delivery of releases."""
