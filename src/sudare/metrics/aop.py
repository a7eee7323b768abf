"""Accuracy over privacy: one number for what a classifier gives and what it gives away."""

from __future__ import annotations

import math

from sudare.core.estimates import Estimate
from sudare.core.wording import say

_CHANCE = 0.5


def accuracy_over_privacy(
    accuracy: Estimate, auc: Estimate, *, strength: float = 2.0, clamp: bool = True
) -> Estimate:
    """Accuracy / (2 AUC)^strength, in the unit of accuracy.

    An AUC below 0.5 would raise it above the accuracy: an attack's bad luck is no merit, so it is
    set to 0.5 unless ``clamp`` is off. The interval takes the errors of both for independent and
    adds them in squares, relative to the value; where the AUC was clamped, so were its ends.

    Args:
        accuracy: In 0 to 1.
        auc: Of a membership attack.
        strength: How much privacy counts.
        clamp: Whether an AUC below chance counts as chance.

    Returns:
        The value, unresolvable where either is.

    Source:
        Lomurno, Archetti, Ausonio and Matteucci 2023, "Discriminative adversarial privacy" (there
        with strength 2); the clamp is ours.

    >>> exact = Estimate(value=0.9752, low=None, high=None, n=1, method="given")
    >>> told = Estimate(value=0.5389, low=None, high=None, n=1, method="given")
    >>> round(accuracy_over_privacy(exact, told).value, 4)
    0.8395
    """
    for part in (accuracy, auc):
        if part.value is None:
            return Estimate.unresolvable(n=part.n, method=say("method.aop"), reason=part.reason)

    def counted(value: float) -> float:
        return max(value, _CHANCE) if clamp else value

    right, told = float(accuracy.value or 0.0), counted(float(auc.value or 0.0))
    value = right / (2 * told) ** strength
    ends = (accuracy.low, accuracy.high, auc.low, auc.high)
    low = high = None
    if right > 0 and None not in ends:
        below, above, least, most = (float(end) for end in ends if end is not None)
        # A higher AUC makes it smaller.
        down = math.hypot((right - below) / right, strength * (counted(most) - told) / told)
        up = math.hypot((above - right) / right, strength * (told - counted(least)) / told)
        low, high = max(0.0, value * (1 - down)), value * (1 + up)
        if clamp and least < _CHANCE:
            # At the kink errors do not add in squares: the value lies at one end of what it may
            # be. Both ends of both, which covers; squares covered 66 to 76 % there.
            low = below / (2 * counted(most)) ** strength
            high = above
        # Clamped, it cannot be above the accuracy.
        high = min(high, above) if clamp else high
    return Estimate(
        value=value,
        low=low,
        high=high,
        n=min(accuracy.n, auc.n),
        method=say("method.aop_squares"),
        level=min(accuracy.level, auc.level),
        of_units=auc.of_units,
    )
