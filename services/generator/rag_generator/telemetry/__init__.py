"""The generator's metrics and spans."""
