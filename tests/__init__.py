"""The tests of all services and of the repository itself."""
