"""A number with its interval: nothing is reported without one."""

from __future__ import annotations

from dataclasses import dataclass

from sudare.core.wording import say


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value, its interval and how both were made.

    Attributes:
        value: The point estimate, or None when the data cannot resolve it.
        low: Lower end of the interval; None with ``value``, and where there is no interval.
        high: Upper end of the interval; None with ``low``.
        n: Independent things behind it: units of images, or builds.
        method: How the interval was made, in words ("percentile bootstrap over units").
        level: Nominal coverage of the interval.
        reason: Why ``value`` is None.
        of_units: Whether ``n`` counts units of images; False where it counts builds.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    level: float = 0.95
    reason: str = ""
    of_units: bool = True

    @classmethod
    def of_one_build(cls, value: float, *, level: float) -> Estimate:
        """What one build gave: no interval."""
        return cls(
            value=value,
            low=None,
            high=None,
            n=1,
            method=say("method.one_build"),
            level=level,
            of_units=False,
        )

    @classmethod
    def unresolvable(cls, *, n: int, method: str, reason: str, of_units: bool = True) -> Estimate:
        """An estimate the data are too few for, with the reason."""
        return cls(
            value=None, low=None, high=None, n=n, method=method, reason=reason, of_units=of_units
        )
