"""The chart rendered by Helm, with combinations of its switches."""
