"""Text from elsewhere: what of it must not reach a terminal."""

from __future__ import annotations

import unicodedata

_KINDS = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}
"""Invisible, but several scripts are not written without them."""


def unprintable(text: str) -> str:
    r"""The first character that acts on a terminal or turns text round; empty if there is none.

    >>> unprintable("x\x1b[31m") == "\x1b"
    True
    """
    return next((character for character in text if _acts(character)), "")


def escaped(text: str) -> str:
    """The text with such characters spelled out."""
    return "".join(ascii(c)[1:-1] if _acts(c) else c for c in text)


def _acts(character: str) -> bool:
    return unicodedata.category(character) in _KINDS and character not in _JOINERS
