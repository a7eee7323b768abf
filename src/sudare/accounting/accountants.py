"""What a run of the subsampled Gaussian mechanism costs, by accountants that are well kept."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, TypeAlias

from sudare.core.errors import BudgetError

Accountant = Literal["prv", "rdp"]

_EPS_ERROR, _LEAST_ERROR = 0.01, 1e-4
"""Error of the numerical composition: usual, and the least that is paid for."""
_MOST = 1e6
"""Points of a grid: about a second and 300 MB."""
_HUGE = 300.0
"""An epsilon that promises nothing, and whose exponential soon is no number."""


@lru_cache(maxsize=1024)
def epsilon_spent(
    noise_multiplier: float,
    *,
    sample_rate: float,
    steps: int,
    delta: float,
    accountant: Accountant = "prv",
) -> float:
    """Upper bound on epsilon after so many steps (add/remove, Poisson sampling).

    Args:
        noise_multiplier: Noise standard deviation over clipping norm, positive.
        sample_rate: Chance of each image to be in a batch, in (0, 1].
        steps: Number of steps.
        delta: Delta, in (0, 1).
        accountant: ``prv`` (numerical composition, tight) or ``rdp`` (moments).

    Source:
        Gopi, Lee and Wutschitz 2021 (PRV); Mironov, Talwar and Zhang 2019 (RDP); both
        as implemented by Opacus.
    """
    history = ((noise_multiplier, sample_rate, steps),)
    if accountant == "rdp":
        return _by_moments(history, delta)
    return epsilon_of_history(history, delta=delta)


@lru_cache(maxsize=1024)
def epsilon_of_history(history: tuple[tuple[float, float, int], ...], *, delta: float) -> float:
    """Upper bound on epsilon after several mechanisms, composed as a whole and not added up.

    The numerical composition works on a grid whose size grows with epsilon and the root of the
    steps. Where that would take gigabytes the grid is coarser, its error still on top, and where
    even that is not enough the bound by moments stands: a looser bound, never a smaller epsilon.

    Args:
        history: Noise multiplier, sampling rate and steps of each.
        delta: Delta of the whole.

    Source:
        Gopi, Lee and Wutschitz 2021 (PRV), as implemented by Opacus.
    """
    moments = _by_moments(history, delta)
    fitting = (e for e in (_EPS_ERROR, moments / 100) if _grid(history, delta, moments, e) <= _MOST)
    error = next(fitting, None)
    if error is None or moments > _HUGE:
        return moments
    epsilon = _by_composition(history, delta, error)
    # The error is added on top: where epsilon is small it would be most of it.
    finer = max(_LEAST_ERROR, epsilon / 100)
    if finer < error and _grid(history, delta, moments, finer) <= _MOST:
        epsilon = _by_composition(history, delta, finer)
    # At a large delta the curve is negative: nothing is spent, not less.
    return max(0.0, epsilon)


_History: TypeAlias = tuple[tuple[float, float, int], ...]


def _grid(history: _History, delta: float, epsilon: float, error: float) -> float:
    """Points of the numerical composition's grid, roughly."""
    steps = sum(count for _, _, count in history)
    # Gopi, Lee and Wutschitz 2021, theorem 5.5, with the error of delta that Opacus takes.
    mesh = error / math.sqrt(steps / 2 * math.log(12_000 / delta))
    return 2 * epsilon / mesh


def _by_moments(history: _History, delta: float) -> float:
    import warnings

    from opacus.accountants import RDPAccountant

    books = RDPAccountant()
    books.history = list(history)
    with warnings.catch_warnings():
        # The best order may be the first or the last one; the bound stays valid.
        warnings.filterwarnings("ignore", message="Optimal order is the")
        return float(books.get_epsilon(delta=delta))


def _by_composition(history: _History, delta: float, error: float) -> float:
    import warnings

    from opacus.accountants import PRVAccountant

    books = PRVAccountant()
    books.history = list(history)
    with warnings.catch_warnings():
        # It takes the width of its grid from moments, whose best order may be the last.
        warnings.filterwarnings("ignore", message="Optimal order is the")
        # At a sampling rate of 1 it takes log(1 - 1) = -inf, and means it.
        warnings.filterwarnings("ignore", message="divide by zero encountered in log")
        return float(books.get_epsilon(delta=delta, eps_error=error))


@lru_cache(maxsize=256)
def calibrate_noise(
    target_epsilon: float,
    *,
    sample_rate: float,
    steps: int,
    delta: float,
    beside: tuple[tuple[float, float, int], ...] = (),
) -> float:
    """The smallest noise multiplier, to 0.1 %, that spends at most the target epsilon.

    Args:
        target_epsilon: What all may spend together.
        sample_rate: Chance of each image to be in a batch, in (0, 1].
        steps: Number of steps.
        delta: Delta of all together.
        beside: Noise multiplier, sampling rate and steps of what is spent beside these steps, which
            are left what remains.

    Raises:
        BudgetError: No noise up to 1000 meets the target, or what is beside spends all of it.
    """
    low, high = 0.2, 1.0
    if beside and (alone := epsilon_of_history(beside, delta=delta)) >= target_epsilon:
        raise BudgetError(
            f"what is released beside the training spends epsilon {alone:.3g} alone, and "
            f"{target_epsilon:g} is promised for all",
            where="dp.target_epsilon",
            fix="Raise the epsilon, or the noise of what is released (valuation.noise).",
        )

    def spent(sigma: float) -> float:
        if beside:
            return epsilon_of_history(((sigma, sample_rate, steps), *beside), delta=delta)
        return epsilon_spent(sigma, sample_rate=sample_rate, steps=steps, delta=delta)

    while spent(high) > target_epsilon:
        low, high = high, high * 2
        if high > 1000:
            raise BudgetError(
                f"epsilon {target_epsilon} cannot be met in {steps} steps",
                where="dp.target_epsilon",
                fix="Raise the epsilon, or take fewer steps or smaller batches.",
            )
    while high / low > 1.001:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if spent(middle) <= target_epsilon else (middle, high)
    return high
