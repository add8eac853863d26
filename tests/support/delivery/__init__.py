"""What tests of the delivery of releases share."""
