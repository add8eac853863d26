"""Unit tests: no process, no port; `make test-unit` runs them all within a minute."""
