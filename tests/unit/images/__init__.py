"""Tests of what builds the images."""
