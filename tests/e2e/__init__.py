"""Tests of the services together, as processes."""
