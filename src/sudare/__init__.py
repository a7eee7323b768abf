"""Sudare: share what a private image collection teaches, not what it shows."""

__version__ = "0.1.0"

__all__ = ["__version__"]
