"""Readings are measured here."""
