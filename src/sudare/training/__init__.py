"""How one net learns. Import the loop from ``sudare.training.loop``: it needs torch."""

from sudare.training.recipe import DpConfig, Recipe

__all__ = ["DpConfig", "Recipe"]
