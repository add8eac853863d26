"""Runs the complete platform on one machine: keys, models, services, and a first tour."""
