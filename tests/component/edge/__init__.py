"""Tests of the edge: a real Envoy, with a scripted gateway or the whole platform behind it."""
