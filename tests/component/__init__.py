"""Component tests: one real service or server each."""
