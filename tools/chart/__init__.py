"""The chart helm/rag: its values' schema and page, generated from the code, and its package."""
