"""The job file: what was read, and what people said of it."""
