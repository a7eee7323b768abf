"""Empirical epsilon: what an attack's hits prove about a privacy guarantee."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, FloatArray
from sudare.core.errors import AuditError
from sudare.core.estimates import Estimate
from sudare.core.wording import say

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

_MOST = 60.0
"""An epsilon beyond which nothing is asked; exp(60) is out of reach of any count."""


def epsilon_from_counts(
    true_positives: int,
    members: int,
    false_positives: int,
    non_members: int,
    *,
    delta: float = 0.0,
    level: float = 0.95,
) -> float:
    """Lower bound on epsilon from one threshold that was fixed beforehand.

    max(log((TPR - delta) / FPR), log((TNR - delta) / FNR), 0), each rate at the end of its
    Clopper-Pearson interval that makes epsilon smaller. An error of ``1 - level`` is shared by
    the two rates.

    Args:
        true_positives: Members called members.
        members: All members.
        false_positives: Non-members called members.
        non_members: All non-members.
        delta: The delta of the guarantee.
        level: Confidence of the bound.

    Raises:
        AuditError: Counts that are none.

    >>> round(epsilon_from_counts(500, 1000, 0, 1000, delta=1e-5), 4)
    4.8461
    """
    for found, total in ((true_positives, members), (false_positives, non_members)):
        if not 0 <= found <= total or total == 0:
            raise AuditError(f"{found} of {total} is not a rate")
    tail = (1 - level) / 2
    tpr = _lower(true_positives, members, tail)
    fpr = _upper(false_positives, non_members, tail)
    tnr = _lower(non_members - false_positives, non_members, tail)
    fnr = _upper(members - true_positives, members, tail)
    return max(_log_ratio(tpr - delta, fpr), _log_ratio(tnr - delta, fnr), 0.0)


def epsilon_from_threshold(
    scores: Float[FloatArray, " k"],
    members: Bool[BoolArray, " k"],
    *,
    delta: float = 0.0,
    level: float = 0.95,
    grid: Sequence[float] = (0.001, 0.01, 0.1),
    choice: str = "bonferroni",
    rng: np.random.Generator | None = None,
) -> Estimate:
    """Lower bound on epsilon where the threshold had to be found.

    The pairs must be independent runs: with images of one fixed model the number is a
    "point-resampled epsilon" and bounds no mechanism.

    Args:
        scores: Higher for members.
        members: Who was one.
        delta: The delta of the guarantee.
        level: Confidence of the bound.
        grid: False-positive rates of the thresholds that are tried; fixed in advance.
        choice: ``bonferroni`` tries all and shares the error among them; ``split`` chooses on a
            random half and measures on the other.
        rng: Draws the split.

    Raises:
        AuditError: An unknown way to choose, or a split without a generator.
    """
    inside, outside = scores[members], scores[~members]
    if choice == "bonferroni":
        # A threshold at an order statistic of the non-members leaves a true rate that is
        # Beta(k + 1, n - k) distributed: the Clopper-Pearson bound is then exact, not optimistic.
        tried = [
            _epsilon_at(inside, outside, threshold, delta, 1 - (1 - level) / len(grid))
            for threshold in _thresholds(outside, grid)
        ]
        value, method = max(tried), say("method.bonferroni", count=len(grid))
    elif choice == "split":
        if rng is None:
            raise AuditError("a split needs a generator")
        (in_a, in_b), (out_a, out_b) = (
            np.array_split(rng.permutation(part), 2) for part in (inside, outside)
        )
        thresholds = _thresholds(out_a, grid)
        found = [_epsilon_at(in_a, out_a, threshold, delta, level) for threshold in thresholds]
        best = thresholds[int(np.argmax(found))]
        value = _epsilon_at(in_b, out_b, best, delta, level)
        method = say("method.split")
    else:
        raise AuditError(f"unknown way to choose a threshold: {choice!r}")
    return Estimate(
        value=value,
        low=value,
        high=_MOST,
        n=len(scores),
        method=say("method.one_sided", method=method),
        level=level,
    )


def epsilon_from_gaussian(
    scores: Float[FloatArray, " k"],
    members: Bool[BoolArray, " k"],
    *,
    delta: float,
    level: float = 0.95,
    grid: Sequence[float] = (0.1, 0.5),
) -> Estimate:
    """Lower bound on epsilon if the mechanism is Gaussian-DP.

    At each declared threshold TPR and FPR bound mu = Phi^-1(TPR) - Phi^-1(FPR) from below; the
    thresholds share the error, and mu gives epsilon at delta. Far tighter than counts at
    small delta, and worth nothing where the mechanism is not Gaussian.

    Source:
        Dong, Roth and Su 2022, "Gaussian differential privacy", corollary 2.13; Nasr et al.
        2023, "Tight auditing of differentially private machine learning".

    Raises:
        AuditError: A delta outside (0, 1).
    """
    from scipy.stats import norm

    if not 0 < delta < 1:
        raise AuditError(f"delta must lie in 0 to 1, not {delta:g}")
    inside, outside = scores[members], scores[~members]
    tail, bounds = (1 - level) / len(grid) / 2, [0.0]
    for threshold in _thresholds(outside, grid):
        tpr = _lower(int((inside > threshold).sum()), len(inside), tail)
        fpr = _upper(int((outside > threshold).sum()), len(outside), tail)
        if tpr > 0 and fpr < 1:
            bounds.append(float(norm.ppf(tpr) - norm.ppf(fpr)))
    value = gaussian_epsilon(max(bounds), delta)
    return Estimate(
        value=value,
        low=value,
        high=_MOST,
        n=len(scores),
        method=say("method.gaussian_dp", count=len(grid)),
        level=level,
    )


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon of a mu-Gaussian-DP mechanism at delta.

    delta(eps) = Phi(-eps/mu + mu/2) - e^eps Phi(-eps/mu - mu/2), solved for epsilon.
    """
    from scipy.optimize import brentq
    from scipy.special import log_ndtr
    from scipy.stats import norm

    def excess(epsilon: float) -> float:
        second = np.exp(epsilon + log_ndtr(-epsilon / mu - mu / 2))
        return float(norm.cdf(-epsilon / mu + mu / 2) - second) - delta

    if mu <= 0 or excess(0.0) <= 0:
        return 0.0
    if excess(_MOST) > 0:
        return _MOST
    return float(brentq(excess, 0.0, _MOST, xtol=1e-9))


def epsilon_one_run(
    guesses: int, correct: int, canaries: int, *, delta: float = 0.0, level: float = 0.95
) -> float:
    """Lower bound on epsilon from one training run with many independent canaries.

    Each canary was included with probability one half, independently. Under (eps, delta)-DP
    the number of correct guesses is dominated by a binomial of rate q = 1 / (1 + e^-eps), but
    for delta: p = min(1, beta + 2 m delta alpha). The bound is the largest epsilon refuted.

    Args:
        guesses: r, canaries on which a guess was made; fixed before looking at the truth.
        correct: v, guesses that were right.
        canaries: m, all canaries.
        delta: The delta of the guarantee.
        level: Confidence of the bound.

    Source:
        Steinke, Nasr and Jagielski 2023, "Privacy auditing with one (1) training run",
        theorem 5.2.

    Raises:
        AuditError: Numbers that do not fit together.

    >>> round(epsilon_one_run(100, 100, 1000, delta=1e-5), 4)
    3.4654
    """
    from scipy.optimize import brentq

    _check_guesses(guesses, correct, canaries)
    significance = 1 - level

    def excess(epsilon: float) -> float:
        return _one_run_p_value(epsilon, guesses, correct, canaries, delta) - significance

    if correct == 0 or excess(0.0) >= 0:
        return 0.0
    if excess(_MOST) < 0:
        return _MOST
    return float(brentq(excess, 0.0, _MOST, xtol=1e-9))


def epsilon_one_run_fdp(
    guesses: int, correct: int, canaries: int, *, delta: float, level: float = 0.95
) -> float:
    """Lower bound on epsilon from one run, if the mechanism is Gaussian-DP.

    The guarantee is refuted as a whole trade-off curve f instead of one (eps, delta) on it: the
    chances r and h that a guess is right and wrong are followed from ``correct`` right guesses down
    to none, each step held to f; the claim falls if what is left exceeds the share of canaries
    that were guessed on. The largest mu refuted gives epsilon at delta. Worth nothing where the
    mechanism is not Gaussian.

    Args:
        guesses: Canaries on which a guess was made; fixed before looking at the truth.
        correct: Guesses that were right.
        canaries: All canaries, each in with probability one half.
        delta: Delta at which epsilon is said, in (0, 1).
        level: Confidence of the bound.

    Source:
        Mahloujifar, Melis and Chaudhuri 2024, "Auditing f-differential privacy in one run"
        (arXiv 2410.22235), algorithm 3 with abstentions.

    Raises:
        AuditError: Numbers that do not fit together.

    >>> round(epsilon_one_run_fdp(200, 199, 1000, delta=1e-5), 4)
    6.3293
    """
    from scipy.optimize import brentq

    _check_guesses(guesses, correct, canaries)
    if not 0 < delta < 1:
        raise AuditError(f"delta must lie in 0 to 1, not {delta:g}")

    def excess(mu: float) -> float:
        return _fdp_excess(mu, guesses, correct, canaries, 1 - level)

    if correct == 0 or excess(0.0) <= 0:
        return 0.0
    high = 1.0
    while excess(high) > 0 and high < _MOST:
        high *= 2
    return gaussian_epsilon(float(brentq(excess, 0.0, high, xtol=1e-9)), delta)


def one_run_ceiling(
    guesses: int, canaries: int, *, delta: float = 0.0, level: float = 0.95
) -> float:
    """The epsilon that as many guesses would prove if every one were right."""
    return epsilon_one_run(guesses, guesses, canaries, delta=delta, level=level)


def one_run_guesses(
    scores: Float[FloatArray, " m"],
    members: Bool[BoolArray, " m"],
    *,
    top: int,
    bottom: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Guess "in" for the highest scores and "out" for the lowest: guesses made, and right.

    Ties are broken by lot: canaries often come members first, and their position would tell.

    Args:
        scores: Higher for members.
        members: Who was in.
        top: Guesses "in".
        bottom: Guesses "out".
        rng: Breaks ties.

    Raises:
        AuditError: More guesses than canaries.
    """
    if top < 0 or bottom < 0 or top + bottom > len(scores):
        raise AuditError(f"{top} + {bottom} guesses on {len(scores)} canaries")
    drawn = rng.permutation(len(scores))
    order = drawn[np.argsort(-scores[drawn], kind="stable")]
    right = members[order[:top]].sum() + (~members[order[len(order) - bottom :]]).sum()
    return top + bottom, int(right)


def _check_guesses(guesses: int, correct: int, canaries: int) -> None:
    if not 0 <= correct <= guesses <= canaries or guesses == 0:
        raise AuditError(f"{correct} right of {guesses} guesses on {canaries} canaries")


def _fdp_excess(mu: float, guesses: int, correct: int, canaries: int, significance: float) -> float:
    """Above 0 where so many right guesses refute mu-Gaussian-DP."""
    from scipy.special import ndtr, ndtri

    right = significance * correct / canaries
    wrong = significance * (guesses - correct) / canaries
    for left in range(correct - 1, -1, -1):
        # f^-1(right): the least chance of a wrong guess that goes with this one of a right guess.
        least = float(ndtr(ndtri(right) - mu))
        if least <= wrong:
            # Neither changes any more.
            break
        right = min(1.0, right + left / (guesses - left) * (least - wrong))
        wrong = least
    return right + wrong - guesses / canaries


def _one_run_p_value(
    epsilon: float, guesses: int, correct: int, canaries: int, delta: float
) -> float:
    from scipy.stats import binom

    rate = 1 / (1 + np.exp(-epsilon))
    beta = float(binom.sf(correct - 1, guesses, rate))
    if delta == 0:
        return min(1.0, beta)
    mass = binom.pmf(np.arange(correct - 1, -1, -1), guesses, rate)
    alpha = float((np.cumsum(mass) / np.arange(1, correct + 1)).max())
    return min(1.0, beta + 2 * canaries * delta * alpha)


def _thresholds(outside: FloatArray, grid: Sequence[float]) -> list[float]:
    """The lowest threshold of each false-positive rate."""
    ranked = np.sort(outside)[::-1]
    return [float(ranked[min(int(alpha * len(ranked)), len(ranked) - 1)]) for alpha in grid]


def _epsilon_at(
    inside: FloatArray, outside: FloatArray, threshold: float, delta: float, level: float
) -> float:
    return epsilon_from_counts(
        int((inside > threshold).sum()),
        len(inside),
        int((outside > threshold).sum()),
        len(outside),
        delta=delta,
        level=level,
    )


def _lower(found: int, total: int, tail: float) -> float:
    from scipy.stats import beta

    return float(beta.ppf(tail, found, total - found + 1)) if found else 0.0


def _upper(found: int, total: int, tail: float) -> float:
    from scipy.stats import beta

    return float(beta.ppf(1 - tail, found + 1, total - found)) if found < total else 1.0


def _log_ratio(above: float, below: float) -> float:
    return float(np.log(above / below)) if above > 0 else -np.inf
