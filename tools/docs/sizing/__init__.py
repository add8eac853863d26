"""docs/sizing.md: what a deployment needs, computed from measurements and stated assumptions."""
