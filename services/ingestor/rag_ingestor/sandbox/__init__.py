"""The sandbox: parses documents in worker processes with limits on memory and time."""
