"""A Kubernetes cluster on this machine, and what tests install into it."""
