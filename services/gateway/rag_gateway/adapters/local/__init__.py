"""What stands in for shared stores: this process's own memory, and files beside it."""
