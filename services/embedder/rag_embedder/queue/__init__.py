"""The bounded, fair queue in front of the model."""
