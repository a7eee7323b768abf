"""Class balance: how much each image of a training set counts, or how often it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sudare.core.errors import ConfigError
from sudare.training.recipe import Recipe

if TYPE_CHECKING:
    from sudare.training.loop import TrainingData


def balancing(data: TrainingData, recipe: Recipe) -> torch.Tensor | None:
    """The weight of each image as a recipe balances, or None where it does not.

    Raises:
        ConfigError: Groups are to be balanced and the images have none.
    """
    if recipe.balance == "none":
        return None
    if recipe.balance_by == "group" and data.groups is None:
        raise ConfigError(
            "the collection has no groups that could be balanced",
            where="recipe.balance_by",
            fix='Give it a column of groups, or balance_by = "class".',
        )
    return class_weights(data.targets, data.groups if recipe.balance_by == "group" else None)


def class_weights(targets: torch.Tensor, groups: torch.Tensor | None = None) -> torch.Tensor:
    """A weight for each image, ``float32 [n]`` with mean one, so that classes count equally.

    Args:
        targets: Labels or soft labels.
        groups: Then each group within each class counts equally.
    """
    cells = targets if targets.ndim == 1 else targets.argmax(dim=1)
    if groups is not None:
        pairs = torch.stack([cells, groups], dim=1)
        cells = torch.unique(pairs, dim=0, return_inverse=True)[1]
    counts = torch.bincount(cells)
    present = int((counts > 0).sum())
    return len(cells) / (present * counts[cells].float())
