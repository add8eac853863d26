"""The client library and its command, against real servers that say what they are told."""
