"""Sizes that every room agrees on."""

from __future__ import annotations

MIN_SIZE_PX, MAX_SIZE_PX = 8, 128
"""Height and width of images that nets, attacks and pages take."""
