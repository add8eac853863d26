"""Validation of public requests: a rule for every field, and the translation to the domain model."""
