"""One module a document format: bytes or text in, text with its structure out."""
