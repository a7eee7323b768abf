"""Intervals of plain means and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import FloatArray
from sudare.core.errors import AuditError
from sudare.core.estimates import Estimate
from sudare.core.wording import say

if TYPE_CHECKING:
    from jaxtyping import Float


def mean_over_builds(
    values: Float[FloatArray, " N"],
    *,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """Mean over builds with Student's t interval; one build has no interval.

    Args:
        values: ``float64 [N]``, one number for each build.
        level: Nominal coverage.
        bounds: The interval is cut here where the quantity cannot leave (a share: 0 to 1).

    Raises:
        AuditError: No values, or one that is not finite.
    """
    from scipy.stats import t

    if not len(values) or not np.isfinite(values).all():
        raise AuditError("a mean over builds needs finite values")
    mean, method = float(np.mean(values)), say("method.student")
    if len(values) == 1:
        return Estimate.of_one_build(mean, level=level)
    # Equal values would give a width of rounding size; a degenerate interval says it better.
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(t.ppf((1 + level) / 2, len(values) - 1)) * spread
    low, high = mean - reach, mean + reach
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Estimate(
        value=mean,
        low=low,
        high=high,
        n=len(values),
        method=method,
        level=level,
        of_units=False,
    )


def clopper_pearson(successes: int, trials: int, *, level: float = 0.95) -> Estimate:
    """Exact interval of a proportion whose rule was fixed before the data were seen.

    >>> round(clopper_pearson(0, 10).high, 4)
    0.3085

    Raises:
        AuditError: ``successes`` outside 0 to ``trials``.
    """
    from scipy.stats import beta

    if not 0 <= successes <= trials or trials == 0:
        raise AuditError(f"{successes} of {trials} is not a proportion")
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, successes, trials - successes + 1)) if successes else 0.0
    high = (
        float(beta.ppf(1 - tail, successes + 1, trials - successes)) if successes < trials else 1.0
    )
    return Estimate(
        value=successes / trials,
        low=low,
        high=high,
        n=trials,
        method=say("method.clopper_pearson"),
        level=level,
    )


def mean_recall(
    right: Float[FloatArray, " C"], total: Float[FloatArray, " C"], *, level: float = 0.95
) -> Estimate:
    """Mean of the classes' recalls, with an interval over the records of each.

    Normal, with variances of shares that had two more right and two more wrong records
    (Agresti and Coull 1998), so that a class without an error is not certain.

    Args:
        right: Records of each class that were answered right.
        total: Records of each class, at least 1.
        level: Nominal coverage.

    >>> found = mean_recall(np.array([9.0, 18.0]), np.array([10.0, 20.0]))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.9, 0.759, 1.0)

    Raises:
        AuditError: A class without records.
    """
    from scipy.stats import norm

    if not len(total) or (total < 1).any():
        raise AuditError("every class needs a record")
    value = float((right / total).mean())
    padded = (right + 2) / (total + 4)
    spread = float(np.sqrt((padded * (1 - padded) / (total + 4)).sum())) / len(total)
    reach = float(norm.ppf((1 + level) / 2)) * spread
    return Estimate(
        value=value,
        low=max(0.0, value - reach),
        high=min(1.0, value + reach),
        n=int(total.sum()),
        method=say("method.agresti_coull"),
        level=level,
    )


def precision_at_prior(tpr: Estimate, *, alpha: float, prior: float) -> Estimate:
    """How many of an attacker's accusations are right where members are rare.

    prior TPR / (prior TPR + (1 - prior) alpha), the false-positive rate taken at its bound; it
    grows with the TPR, so that the interval carries over.

    >>> half = Estimate(value=0.5, low=0.4, high=0.6, n=9, method="given")
    >>> round(precision_at_prior(half, alpha=0.01, prior=0.01).value, 4)
    0.3356

    Raises:
        AuditError: A prior outside (0, 1).
    """
    if not 0 < prior < 1:
        raise AuditError(f"a prior lies in 0 to 1, not {prior:g}", where="audit.prior")
    method = say("method.at_prior", prior=f"{prior:g}")
    if tpr.value is None or tpr.low is None or tpr.high is None:
        return Estimate.unresolvable(
            n=tpr.n, method=method, reason=tpr.reason, of_units=tpr.of_units
        )

    def precision(rate: float) -> float:
        return prior * rate / (prior * rate + (1 - prior) * alpha)

    return Estimate(
        value=precision(tpr.value),
        low=precision(tpr.low),
        high=precision(tpr.high),
        n=tpr.n,
        method=method,
        level=tpr.level,
        of_units=tpr.of_units,
    )
