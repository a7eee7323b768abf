"""Who was a member of which build, and the same under membership drawn anew: the null control."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sudare.core.arrays import BoolArray, IntArray
from sudare.core.seeds import generator, integer_seed
from sudare.data.plan import draw_plan, redeal

NULL_DRAWS = 20
"""How often membership is drawn anew for a null control."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """Builds of one release and who was a member of each.

    Attributes:
        membership: ``bool [N, n]``; shadows of an artefact too.
        complement: ``int64 [N]``, each build's partner; itself where there are no shadows.
        units: ``int64 [n]``; images of one unit are in or out together.
        classes: ``int64 [n]``, for draws that keep classes even.
        seed: Seed of the run.
        target: Row of one artefact the findings are about; None for every build in turn.
    """

    membership: BoolArray
    complement: IntArray
    units: IntArray
    classes: IntArray
    seed: int
    target: int | None = None

    @classmethod
    def of(
        cls,
        membership: BoolArray,
        units: IntArray,
        classes: IntArray,
        *,
        seed: int,
        target: int | None = None,
    ) -> Trial:
        """Complementary pairs in order, or one build without shadows."""
        # One build has no complement: its own row stands there.
        complement = np.arange(len(membership)) ^ (len(membership) > 1)
        return cls(
            membership=membership,
            complement=complement,
            units=units,
            classes=classes,
            seed=seed,
            target=target,
        )

    @property
    def rows(self) -> IntArray:
        """``int64 [targets]``, the builds the findings are about."""
        return np.arange(len(self.membership)) if self.target is None else np.array([self.target])

    @property
    def has_shadows(self) -> bool:
        """Whether builds come in complementary pairs, so that others are shadows of each."""
        return not np.array_equal(self.complement, np.arange(len(self.complement)))

    @property
    def members(self) -> BoolArray:
        """``bool [targets, n]``."""
        return self.membership[self.rows]

    @cached_property
    def nulls(self) -> tuple[BoolArray, ...]:
        """Membership drawn anew with independent seeds, ``bool [N, n]`` each."""
        return tuple(self._redrawn(null_seed(self.seed, draw)) for draw in range(NULL_DRAWS))

    def under_null(self) -> Trial:
        """The same builds under the first membership that was drawn anew."""
        return replace(self, membership=self.nulls[0])

    def _redrawn(self, seed: int) -> BoolArray:
        """Pairs drawn as the plan was; an artefact keeps its share of members."""
        artefact = generator(seed, "null", "artefact")
        if not self.has_shadows:
            return redeal(self.membership, self.units, artefact)
        # Under a name of its own: the seed of the run's plan would draw that plan again.
        own = integer_seed(seed, "redrawn")
        builds = len(self.membership)
        plan = draw_plan(self.units, self.classes, builds=builds, seed=own)
        membership = plan.membership.copy()
        if self.target is not None:
            drawn = redeal(self.membership[[self.target]], self.units, artefact)[0]
            membership[self.target], membership[self.complement[self.target]] = drawn, ~drawn
        return membership


def null_seed(seed: int, draw: int) -> int:
    """The seed of one draw: its own, so that runs of neighbouring seeds share none.

    Args:
        seed: Seed of the run.
        draw: Which.
    """
    return integer_seed(seed, "null", draw)
