"""Presets: files of values, not code paths."""
