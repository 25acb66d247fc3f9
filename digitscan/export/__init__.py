"""Outcomes become files: CSV, JSON, annotated pages."""
