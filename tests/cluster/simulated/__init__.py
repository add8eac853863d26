"""A real control plane with simulated nodes and pods."""
