"""TLS, certificates and the identity of peers."""
