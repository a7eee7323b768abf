"""Attacks on released distributions of features."""
