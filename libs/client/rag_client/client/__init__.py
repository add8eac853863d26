"""The client: async and sync, side by side."""
