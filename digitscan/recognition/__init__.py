"""Candidates become posteriors: one normalization, one network call."""
