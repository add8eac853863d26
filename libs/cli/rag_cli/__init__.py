"""The command `rag`."""
