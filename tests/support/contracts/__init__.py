"""One contract suite for every engine."""
