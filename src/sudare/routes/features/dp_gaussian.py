"""A Gaussian for each class from noised sums: one use of the Gaussian mechanism pays for all."""

from __future__ import annotations

import math

import numpy as np
import torch

from sudare.accounting.ledger import LedgerEntry
from sudare.accounting.mechanisms import gaussian_sigma
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.wording import say
from sudare.releases.card import Statistic
from sudare.releases.samplers import GaussianSampler
from sudare.routes.features.config import DpGaussianConfig
from sudare.routes.features.fitting import Fit, Private

# Shares of the unit sensitivity: sums, counts, and the total of squared lengths. Their squares
# add up to one.
_A, _B, _C = math.sqrt(0.8), math.sqrt(0.1), math.sqrt(0.1)
_LEAST_PUBLIC = 50


def fit_dp_gaussian(private: Private, config: DpGaussianConfig) -> Fit:
    """Class means and one spread, from sums that one image moves by at most one.

    Features are standardised by *public* mean and deviation and cut to length R = sqrt(d). An
    image adds (a x / R, b, c |x|^2 / R^2) to its class's sum, its class's count and the total of
    squares, with a^2 + b^2 + c^2 = 1: an L2 sensitivity of one for all of them together. The
    covariance is the public variances times one number.

    Raises:
        DataError: Too few public images to standardise by.
    """
    public = private.need_public(_LEAST_PUBLIC, "standardising without private numbers")
    centre, spread = public.mean(axis=0), np.maximum(public.std(axis=0), 1e-3)
    standard = (private.features - centre).astype(np.float64) / spread
    dim, classes = standard.shape[1], len(private.class_names)
    exact = released_sums(standard, private.labels, classes)
    sigma = gaussian_sigma(config.epsilon, config.delta)
    noisy = exact + sigma * private.noise("dp-gaussian").standard_normal(len(exact))
    a, b, c, radius = _A, _B, _C, math.sqrt(dim)
    sums = noisy[: classes * dim].reshape(classes, dim) * radius / a
    counts = np.maximum(noisy[classes * dim : -1] / b, 1.0)
    squares = float(noisy[-1]) * radius**2 / c
    means = sums / counts[:, None]
    # Noise lengthens the means; what it adds on average is known and taken off.
    noise = dim * (radius * sigma / a / counts) ** 2
    explained = float((counts / counts.sum()) @ ((means**2).sum(axis=1) - noise))
    variance = max((squares / counts.sum() - max(explained, 0.0)) / dim, 0.05)
    scale = np.tile(spread * math.sqrt(variance), (classes, 1)).astype(np.float32)
    entry = LedgerEntry(
        purpose="class sums, counts and spread of features",
        mechanism="Gaussian mechanism, analytic calibration",
        accountant="exact",
        noise_multiplier=sigma,
        sample_rate=1.0,
        steps=1,
        delta=config.delta,
        epsilon=config.epsilon,
    )
    return Fit(
        sampler=GaussianSampler(
            mean=torch.from_numpy((means * spread + centre).astype(np.float32)),
            scale=torch.from_numpy(scale),
        ),
        statistics=(
            Statistic(name="parameters", value="means and one spread", status="noised"),
            Statistic(name="standardisation", value="from public images", status="public"),
        ),
        ledger=(entry,),
        guarantee=say(
            "guarantee.gaussian", epsilon=f"{config.epsilon:g}", delta=f"{config.delta:g}"
        ),
    )


def released_sums(standard: FloatArray, labels: IntArray, classes: int) -> FloatArray:
    """Everything that noise is added to, in one vector that any image moves by at most one.

    Args:
        standard: ``float64 [n, d]``, standardised by public numbers.
        labels: ``int64 [n]``.
        classes: Number of classes C.

    Returns:
        ``float64 [C d + C + 1]``: class sums, class counts and total of squares, each scaled.
    """
    radius = math.sqrt(standard.shape[1])
    lengths = np.linalg.norm(standard, axis=1)
    clipped = standard * np.minimum(1.0, radius / np.maximum(lengths, 1e-12))[:, None]
    onehot = np.eye(classes)[labels]
    return np.concatenate(
        [
            (_A * onehot.T @ clipped / radius).ravel(),
            _B * onehot.sum(axis=0),
            [_C * float((clipped**2).sum()) / radius**2],
        ]
    )
