"""Text: sentences, languages, identifiers."""
