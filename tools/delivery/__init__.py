"""Files of the delivery which are generated from the code."""
