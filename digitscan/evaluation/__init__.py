"""Readings are measured here: pure functions of labels and posteriors, and the report that shows them."""
