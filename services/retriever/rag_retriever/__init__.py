"""The retriever: documents to chunks, chunks to an index, vectors to passages."""
