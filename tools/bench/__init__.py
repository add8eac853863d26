"""Speed on this machine: `python -m tools.bench [--part NAME[,NAME]] [OUTPUT]`."""
