"""Who may call, and how much: identities, limits, API keys and tokens."""
