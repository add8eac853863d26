"""Speed on this machine: `python -m scripts.bench [OUTPUT]`."""
