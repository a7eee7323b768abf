"""What was probably meant by a name that is none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CLOSE = 0.75


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A question, where something is called nearly so; else something else.

    >>> did_you_mean("smothing", ["plain", "smoothing"])
    'Did you mean smoothing?'

    Args:
        name: What was written.
        known: What there is.
        otherwise: What to say if nothing is near.
    """
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=_CLOSE)
    return f"Did you mean {found[0]}?" if found else otherwise
