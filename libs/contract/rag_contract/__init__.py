"""The API contract in Python, for servers and clients: errors, statuses, document ids, filter rules."""
