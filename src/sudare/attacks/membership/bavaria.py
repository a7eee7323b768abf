"""BaVarIA: LiRA with a prior where a few shadows cannot say how an image's scores scatter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.shadows import ShadowMoments, shadow_moments
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.scores import Scale, ScoreTable

if TYPE_CHECKING:
    from jaxtyping import Float

_MOST_FREEDOM = 1e6
"""Degrees of freedom of a prior that is sure: the images' variances differ by noise alone."""
_LEAST_VARIANCE = 1e-12
_LEAST_SPREAD = 1e-3
_LEAST_TAIL = 1e-290
_IMAGES_PER_GROUP = 50


@dataclass(frozen=True, kw_only=True)
class VariancePrior:
    """A scaled inverse chi-squared prior on a variance.

    Attributes:
        freedom: How many observations the prior is worth.
        variance: The variance it expects.
    """

    freedom: float
    variance: float

    def posterior(self, variance: FloatArray, freedom: int) -> FloatArray:
        """Variance after seeing sample variances with this many degrees of freedom."""
        both: FloatArray = self.freedom * self.variance + freedom * variance
        return both / (self.freedom + freedom)


def fit_variance_prior(variances: Float[FloatArray, " n"], freedom: int) -> VariancePrior:
    """The prior that makes sample variances as scattered as they are.

    Sample variances are the prior's scale times an F-distributed number; the mean and the
    variance of their logarithms give its two parameters in closed form but for one inverse
    of the trigamma function.

    Source:
        Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
        expression", §6.2.
    """
    from scipy.special import digamma, polygamma

    logs = np.log(np.maximum(variances, _LEAST_VARIANCE))
    centred = logs - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(np.var(centred, ddof=1) - polygamma(1, freedom / 2)) if len(logs) > 1 else 0.0
    mean = float(centred.mean())
    half = _inverse_trigamma(excess) if excess > 0 else np.inf
    if half > _MOST_FREEDOM / 2:
        return VariancePrior(freedom=_MOST_FREEDOM, variance=float(np.exp(mean)))
    return VariancePrior(
        freedom=2 * half, variance=float(np.exp(mean + digamma(half) - np.log(half)))
    )


class _BaVarIA(MembershipTest):
    """What the online and the offline form share.

    Attributes:
        predictive: Student's t, or a normal with the same stabilised variance.
        prior: ``trend`` fits a prior for each group of images that models find equally hard;
            ``pooled`` fits one for all images.
        groups: Most groups of a trend; each holds 50 images at least.
    """

    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGIT})
    # A variance needs two shadows on each side.
    least_builds: ClassVar[int] = 6

    predictive: Literal["t", "normal"] = "t"
    prior: Literal["trend", "pooled"] = "trend"
    groups: int = Field(default=20, ge=1)

    def _grouped(self, centre: FloatArray) -> list[IntArray]:
        """Images by how sure models are of them, in groups of equal size."""
        groups = self.groups if self.prior == "trend" else 1
        groups = max(1, min(groups, len(centre) // _IMAGES_PER_GROUP))
        return np.array_split(np.argsort(centre, kind="stable"), groups)

    def _log_density(self, gap: FloatArray, variance: FloatArray, freedom: float) -> FloatArray:
        """Log predictive density at a gap from its centre."""
        if self.predictive == "normal":
            return -(np.log(2 * np.pi * variance) + gap**2 / variance) / 2
        heavy = (freedom + 1) / 2 * np.log1p(gap**2 / (freedom * variance))
        density: FloatArray = -np.log(variance) / 2 - heavy
        return density + _student_constant(freedom)


class BaVarIA(_BaVarIA):
    """Online: the ratio of two predictive densities, with priors learned from the shadows.

    Each image's variance, in and out, is drawn towards that of its group, and its effect (the
    mean in less the mean out, in standard deviations) towards the group's mean effect: by
    how much is what makes the scatter among images what it is. A group's mean effect counts
    as far as it is larger than its own error (James and Stein). Groups matter because training
    on an image moves it the more, the harder it is.

    Source:
        Brännvall 2026, "Exponential-family membership inference: from LiRA and RMIA to
        BaVarIA" (arXiv 2603.11799): conjugate normal-inverse-gamma priors. How the prior's
        parameters are chosen here, and the trend, are ours: empirical Bayes after Smyth 2004.
    """

    id: ClassVar[str] = "membership.bavaria"

    def _scores(self, table: ScoreTable) -> FloatArray:
        values = table.pool(self.signal)
        moments = shadow_moments(table, self.signal)
        scores = np.empty(values.shape)
        centre = (moments.mean_in + moments.mean_out) / 2
        for target in range(values.shape[0]):
            for query in range(values.shape[2]):
                at = (target, slice(None), query)
                for images in self._grouped(centre[at]):
                    scores[target, images, query] = self._ratio(
                        values, moments, target, images, query
                    )
        mean: FloatArray = scores.mean(axis=2)
        return mean

    def _ratio(
        self, values: FloatArray, moments: ShadowMoments, target: int, images: IntArray, query: int
    ) -> FloatArray:
        inside, outside, var_in, var_out = (
            array[target, images, query]
            for array in (moments.mean_in, moments.mean_out, moments.var_in, moments.var_out)
        )
        count, freedom = moments.count, moments.count - 1
        unbiased = count / freedom
        sides = []
        for variance in (var_in * unbiased, var_out * unbiased):
            prior = fit_variance_prior(variance, freedom)
            sides.append((prior.posterior(variance, freedom), prior.freedom + freedom))
        (var_in, freedom_in), (var_out, freedom_out) = sides
        scale = np.sqrt((var_in + var_out) / 2)
        effect = (inside - outside) / scale
        # The scatter of effects beyond what estimating two means from few shadows explains.
        spread = max(float(effect.var()) - 2 / count, _LEAST_SPREAD)
        weight = spread / (spread + 2 / count)
        mean = float(effect.mean())
        # A group whose effect may be noise must not lend its sign to all its images.
        trust = max(0.0, 1 - float(effect.var()) / len(effect) / mean**2) if mean else 0.0
        half_gap = (trust * mean + weight * (effect - mean)) * scale / 2
        # What is not known about the centre and the shrunken effect widens the prediction.
        wider = 1 + 1 / (2 * count) + weight * 2 / count / 4
        gap = values[target, images, query] - (inside + outside) / 2
        return self._log_density(gap - half_gap, var_in * wider, freedom_in) - self._log_density(
            gap + half_gap, var_out * wider, freedom_out
        )


class OfflineBaVarIA(_BaVarIA):
    """Offline: how rarely a non-member scores as high, under the predictive distribution.

    Source:
        As ``BaVarIA``; one-sided like the offline LiRA of Carlini et al. 2022.
    """

    id: ClassVar[str] = "membership.bavaria_offline"

    def _scores(self, table: ScoreTable) -> FloatArray:
        values = table.pool(self.signal)
        moments = shadow_moments(table, self.signal)
        count, freedom = moments.count, moments.count - 1
        scores = np.empty(values.shape)
        for target in range(values.shape[0]):
            for query in range(values.shape[2]):
                at = (target, slice(None), query)
                for images in self._grouped(moments.mean_out[at]):
                    variance = moments.var_out[target, images, query] * (count / freedom)
                    prior = fit_variance_prior(variance, freedom)
                    spread = np.sqrt(prior.posterior(variance, freedom) * (1 + 1 / count))
                    gap = values[target, images, query] - moments.mean_out[target, images, query]
                    surprise = self._surprise(gap / spread, prior.freedom + freedom)
                    scores[target, images, query] = surprise
        mean: FloatArray = scores.mean(axis=2)
        return mean

    def _surprise(self, deviations: FloatArray, freedom: float) -> FloatArray:
        """-log of the upper tail."""
        from scipy.special import log_ndtr, stdtr

        if self.predictive == "normal" or freedom >= _MOST_FREEDOM:
            return -np.asarray(log_ndtr(-deviations))
        tail = stdtr(freedom, -deviations)
        # Where the tail underflows it is the density times x / freedom, to the last digit.
        far = np.maximum(deviations, 1.0)
        density = _student_constant(freedom) - (freedom + 1) / 2 * np.log1p(far**2 / freedom)
        remote = density + np.log(far / freedom)
        return -np.where(tail > _LEAST_TAIL, np.log(np.maximum(tail, _LEAST_TAIL)), remote)


def _student_constant(freedom: float) -> float:
    from scipy.special import gammaln

    return float(gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - np.log(freedom * np.pi) / 2)


def _inverse_trigamma(value: float) -> float:
    """The x with trigamma(x) = value, by Newton's method on 1 / trigamma (Smyth 2004)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        current = float(polygamma(1, x))
        step = current * (1 - current / value) / float(polygamma(2, x))
        x += step
        if -step < 1e-10 * x:
            break
    return x
