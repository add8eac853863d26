"""How much of what documents say is read: files of every format, and facts that must be found in each."""
