"""Posteriors become text."""
