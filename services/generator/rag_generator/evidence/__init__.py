"""Evidence: which sentences of the passages answer a question or support a claim."""
