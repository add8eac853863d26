"""The steps from a file to its chunks in the index."""
