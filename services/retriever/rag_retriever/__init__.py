"""The retriever: indexes the chunks of documents, and searches them by vectors."""
