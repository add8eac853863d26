"""Quotas, named calls and the edge's rate limits, over this process's memory and over a real Redis."""
