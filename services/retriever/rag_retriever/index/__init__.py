"""The index: its data model, metadata filters, and the interface that a vector engine implements."""
