"""The generator: a question and passages to a cited answer."""
