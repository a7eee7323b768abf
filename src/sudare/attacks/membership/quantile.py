"""Quantile regression: no shadows, one regressor says how non-members score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from sudare.attacks.membership.base import MembershipTest
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.scores import Scale, ScoreTable
from sudare.core.wording import say

if TYPE_CHECKING:
    from jaxtyping import Float
    from sklearn.ensemble import HistGradientBoostingRegressor

_FOLDS = 4
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """False-positive rates asked for and found on population images the regressor never saw.

    Attributes:
        asked: ``float64 [k]``.
        found: ``float64 [N, k]``, one row for each target.
        images: Held-out population images behind each rate.
    """

    asked: Float[FloatArray, " k"]
    found: Float[FloatArray, "N k"]
    images: int


class QuantileRegression(MembershipTest):
    """How far an image's logit lies above what a regressor expects of such a non-member.

    Two gradient-boosted regressors learn the mean and the log-variance of the logit from what
    the image looks like and its class, on population images, which are in no build; the score
    is the standardised residual. One threshold on it then has the same false-positive rate for
    every kind of image.

    Attributes:
        signal: A logit.
        least_population: Population images below which the test does not run.
        trees: Boosting iterations of each regressor.

    Source:
        Bertran et al. 2023, "Scalable membership inference attacks via quantile regression"
        (Gaussian head), with boosted trees over the images' leading components in place of
        their fine-tuned network.
    """

    id: ClassVar[str] = "membership.quantile"
    null_draws: ClassVar[int] = 5
    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGIT})
    needs_shadows: ClassVar[bool] = False

    least_population: int = Field(default=5000, ge=100)
    trees: int = Field(default=100, ge=1)

    def _unmet(self, table: ScoreTable) -> str | None:
        population = table.labels.shape[0] - table.n_images
        if population < self.least_population:
            return say(
                "reason.few_population",
                least=f"{self.least_population:,}",
                count=f"{population:,}",
            )
        if table.covariates is None:
            return say("reason.no_covariates")
        return None

    def calibration(
        self, table: ScoreTable, alphas: tuple[float, ...] = (0.2, 0.1, 0.05, 0.02, 0.01)
    ) -> Calibration:
        """Whether the test keeps its word: thresholds from a normal, rates on held-out images.

        A quarter of the population is held out.
        """
        from scipy.stats import norm

        features, values = self._population(table)
        held = np.arange(len(features)) % _FOLDS == 0
        found = []
        for target in values:
            mean, variance = self._fit(features[~held], target[~held])
            residual = _standardised(mean, variance, features[held], target[held])
            found.append([float(np.mean(residual > norm.isf(alpha))) for alpha in alphas])
        return Calibration(asked=np.array(alphas), found=np.array(found), images=int(held.sum()))

    def _scores(self, table: ScoreTable) -> FloatArray:
        features, values = self._population(table)
        pool_features = _features(table)[: table.n_images]
        pool = table.pool(self.signal).mean(axis=2)
        scores = np.empty(pool.shape)
        for target, row in enumerate(values):
            mean, variance = self._fit(features, row)
            scores[target] = _standardised(mean, variance, pool_features, pool[target])
        return scores

    def _population(self, table: ScoreTable) -> tuple[FloatArray, FloatArray]:
        features = _features(table)[table.n_images :]
        values: FloatArray = table.population(self.signal).mean(axis=2)
        return features, values

    def _fit(
        self, features: FloatArray, values: FloatArray
    ) -> tuple[HistGradientBoostingRegressor, HistGradientBoostingRegressor]:
        from sklearn.model_selection import cross_val_predict
        from threadpoolctl import threadpool_limits

        # Its threads wait actively: on busy cores they take each other's time.
        with threadpool_limits(1):
            expected = cross_val_predict(self._regressor(), features, values, cv=_FOLDS)
            # Residuals of folds that were held out: on its own data a regressor looks too sure.
            squared = np.log(np.square(values - expected) + _LEAST_VARIANCE)
            mean = self._regressor().fit(features, values)
            return mean, self._regressor().fit(features, squared)

    def _regressor(self) -> HistGradientBoostingRegressor:
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(
            max_iter=self.trees, learning_rate=0.1, max_leaf_nodes=15, random_state=0
        )


def _features(table: ScoreTable) -> FloatArray:
    if table.covariates is None:
        raise TypeError("a table that was checked has covariates")
    labels: IntArray = table.labels
    one_hot = labels[:, None] == np.arange(int(labels.max()) + 1)
    return np.concatenate([table.covariates, one_hot], axis=1).astype(np.float64)


def _standardised(
    mean: HistGradientBoostingRegressor,
    log_variance: HistGradientBoostingRegressor,
    features: FloatArray,
    values: FloatArray,
) -> FloatArray:
    # E log chi2_1 = -1.27: the regressor of log squares must be lifted by as much.
    spread = np.exp((log_variance.predict(features) + 1.2704) / 2)
    residual: FloatArray = (values - mean.predict(features)) / spread
    return residual
