"""The retriever: splits documents into chunks, indexes them, and searches the index by vectors."""
