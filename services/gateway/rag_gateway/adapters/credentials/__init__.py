"""Where credentials are kept, in a file or in Redis, and what of them has been revoked."""
