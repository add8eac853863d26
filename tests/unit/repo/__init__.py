"""Layout, imports, contracts and pages agree with each other."""
