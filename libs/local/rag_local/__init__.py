"""The whole platform on one machine: keys, models, four processes, and a first tour."""
