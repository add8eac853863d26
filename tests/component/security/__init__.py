"""Attacks that once worked, each as a test of the rule that stops it."""
