"""Delivery of a release: the analysis of a canary, and the shares of calls that its lanes get."""
