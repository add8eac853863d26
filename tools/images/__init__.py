"""Builds the images of the services: `make images`, or python -m tools.images SERVICE."""
