"""Ink becomes strings of digit candidates."""
