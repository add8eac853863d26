"""One file for each outside system; each translates its errors."""
