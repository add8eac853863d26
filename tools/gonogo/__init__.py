"""`make go-nogo`: the checklist before a release, each item with its state and its evidence."""
