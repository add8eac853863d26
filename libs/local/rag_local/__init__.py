"""Runs the complete platform on one machine: keys, models, four services, and a first tour."""
