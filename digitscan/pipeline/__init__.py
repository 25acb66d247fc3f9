"""One page from file to outcome: prepare, read, finish."""
