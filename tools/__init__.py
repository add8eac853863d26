"""What the Makefile calls, each as `python -m tools.<name>` from the repository's root."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
