"""Sudare: share what a private image collection teaches, not what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sudare.audits.external import audit_model, audit_scores

__version__ = "0.1.0"

__all__ = ["__version__", "audit_model", "audit_scores"]


def __getattr__(name: str) -> object:
    """Import what needs torch when it is first used."""
    if name in ("audit_model", "audit_scores"):
        from sudare.audits import external

        return getattr(external, name)
    raise AttributeError(f"module 'sudare' has no attribute {name!r}")
