"""The conditional VAE over features whose decoder is shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sudare.accounting.ledger import LedgerEntry
from sudare.accounting.mechanisms import private_quantile
from sudare.core.arrays import BoolArray, Float32Array
from sudare.core.errors import DataError
from sudare.core.seeds import generator, integer_seed
from sudare.releases.card import Statistic
from sudare.releases.samplers import DecoderSampler
from sudare.routes.base import Role
from sudare.routes.features.config import CvaeConfig
from sudare.routes.features.fitting import Fit, Private, rows_of_class

if TYPE_CHECKING:
    from jaxtyping import Float

_LEAST_PUBLIC = 50
_CAP = 1_000.0
"""Between minus this and this, private bounds are looked for; far beyond any feature."""


class Cvae(nn.Module):
    """Encoder and decoder, one hidden layer each; the class goes into both, one-hot.

    Args:
        dim: Length of a feature vector.
        classes: Number of classes.
        config: Its sizes.

    Source:
        Di Salvo et al. 2024, reference code ``src/model/cvae.py``.
    """

    def __init__(self, dim: int, classes: int, config: CvaeConfig) -> None:
        super().__init__()
        self.classes, self.paper = classes, config.mode == "paper"
        self.encoder = nn.Sequential(
            nn.Linear(dim + classes, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, 2 * config.latent),
        )
        self.hidden = nn.Linear(config.latent + classes, config.hidden)
        self.output = nn.Linear(config.hidden, dim)

    def encode(
        self, features: Float[torch.Tensor, "n d"], onehot: Float[torch.Tensor, "n C"]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of z, ``[n, z]`` each."""
        mean, head = self.encoder(torch.cat([features, onehot], dim=1)).chunk(2, dim=1)
        # The reference code takes exp of the head as sigma: its "log-variance" is log-sigma.
        return mean, head.exp() if self.paper else (head / 2).exp()

    def decode(self, latent: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
        """Scaled features in 0 to 1."""
        hidden = self.hidden(torch.cat([latent, onehot], dim=1)).relu()
        scaled: torch.Tensor = self.output(hidden).sigmoid()
        return scaled

    def losses(
        self,
        features: Float[torch.Tensor, "n d"],
        onehot: Float[torch.Tensor, "n C"],
        noise: Float[torch.Tensor, "n z"],
        *,
        beta: float,
    ) -> Float[torch.Tensor, " n"]:
        """Squared error plus beta times the KL term, summed over numbers, of each image."""
        mean, sigma = self.encode(features, onehot)
        rebuilt = self.decode(mean + sigma * noise, onehot)
        error = ((rebuilt - features) ** 2).sum(dim=1)
        return error + beta * kl_divergence(mean, sigma, paper=self.paper)


def kl_divergence(
    mean: Float[torch.Tensor, "n z"], sigma: Float[torch.Tensor, "n z"], *, paper: bool
) -> Float[torch.Tensor, " n"]:
    """KL of N(mean, sigma^2) from N(0, 1), summed over numbers, or the reference code's term.

    That term, sigma^2 + mean^2 - log sigma - 1/2, is smallest at sigma^2 = 1/2, not 1.
    """
    if paper:
        return (sigma**2 + mean**2 - sigma.log() - 0.5).sum(dim=1)
    return ((sigma**2 + mean**2 - 1) / 2 - sigma.log()).sum(dim=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bounds:
    low: Float32Array
    high: Float32Array
    statistic: Statistic
    ledger: tuple[LedgerEntry, ...] = ()


def fit_cvae(private: Private, config: CvaeConfig) -> Fit:
    """Train until the validation loss stops falling; the best state's decoder is kept.

    Validation images are split from the private ones here, inside the build.

    Raises:
        DataError: A class with fewer than two images, no public images where bounds need them,
            or a loss that is not finite.
    """
    classes = len(private.class_names)
    for label in range(classes):
        rows_of_class(private, label, least=2, purpose="training and validation")
    bounds = _bounds(private, config)
    width = np.maximum(bounds.high - bounds.low, 1e-12)
    scaled = np.clip((private.features - bounds.low) / width, 0.0, 1.0)
    held = _validation_rows(private, config.validation)
    device = torch.device(private.device)
    features = torch.from_numpy(scaled.astype(np.float32)).to(device)
    onehot = torch.from_numpy(np.eye(classes, dtype=np.float32)[private.labels]).to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(private.seed, "weights"))
        net = Cvae(features.shape[1], classes, config)
    net.to(device)
    inside = torch.from_numpy(held).to(device)
    epochs = _train(
        net,
        (features[~inside], onehot[~inside]),
        (features[inside], onehot[inside]),
        config,
        private,
    )
    state = {
        "hidden.weight": net.hidden.weight,
        "hidden.bias": net.hidden.bias,
        "output.weight": net.output.weight,
        "output.bias": net.output.bias,
        "low": torch.from_numpy(bounds.low),
        "high": torch.from_numpy(bounds.high),
        "classes": torch.ones(classes),
    }
    return Fit(
        sampler=DecoderSampler({name: v.detach().cpu().clone() for name, v in state.items()}),
        statistics=(
            Statistic(name="decoder", value="trained without protection", status="leak"),
            bounds.statistic,
        ),
        ledger=bounds.ledger,
        settings={"epochs": str(epochs)},
        roles=np.where(held, Role.VALIDATION, Role.TRAIN).astype(np.int8),
    )


def _train(
    net: Cvae,
    train: tuple[torch.Tensor, torch.Tensor],
    held: tuple[torch.Tensor, torch.Tensor],
    config: CvaeConfig,
    private: Private,
) -> int:
    """Train in place to the best validation loss; gives the epochs until then."""
    device = train[0].device
    rng = torch.Generator(device).manual_seed(integer_seed(private.seed, "training"))
    order = torch.Generator().manual_seed(integer_seed(private.seed, "order"))
    shape = (len(held[0]), config.latent)
    # The same noise each time: an epoch is not better because it was lucky.
    fixed = torch.randn(shape, generator=rng, device=device)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    best, kept, best_epoch = float("inf"), net.state_dict(), 0
    with private.progress.stage("feature CVAE", config.epochs) as bar:
        for epoch in range(1, config.epochs + 1):
            for rows in torch.randperm(len(train[0]), generator=order).split(config.batch_size):
                rows = rows.to(device)
                noise = torch.randn((len(rows), config.latent), generator=rng, device=device)
                loss = net.losses(train[0][rows], train[1][rows], noise, beta=config.beta).sum()
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                value = float(net.losses(*held, fixed, beta=config.beta).mean())
            if not np.isfinite(value):
                raise DataError(
                    "the loss is not finite", where="feature CVAE", fix="Lower model.lr."
                )
            bar.advance()
            if value < best:
                best, best_epoch = value, epoch
                kept = {name: v.detach().clone() for name, v in net.state_dict().items()}
            elif epoch - best_epoch >= config.patience:
                break
    net.load_state_dict(kept)
    return best_epoch


def _validation_rows(private: Private, share: float) -> BoolArray:
    """True for images that stop training; at least one, and never the last, of each class."""
    held = np.zeros(len(private.labels), dtype=bool)
    rng = generator(private.seed, "validation")
    for label in range(len(private.class_names)):
        rows = rng.permutation(np.flatnonzero(private.labels == label))
        held[rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]] = True
    return held


def _bounds(private: Private, config: CvaeConfig) -> _Bounds:
    """The range of each number, and who is behind it."""
    if config.range_from == "private":
        # As published. Each bound is one image's own number: whoever has the image sees it.
        return _Bounds(
            low=private.features.min(axis=0),
            high=private.features.max(axis=0),
            statistic=Statistic(
                name="bounds", value="least and largest value of each number", status="leak"
            ),
        )
    if config.range_from == "public":
        public = private.need_public(_LEAST_PUBLIC, "a range without private numbers")
        margin = 0.1 * (public.max(axis=0) - public.min(axis=0))
        return _Bounds(
            low=(public.min(axis=0) - margin).astype(np.float32),
            high=(public.max(axis=0) + margin).astype(np.float32),
            statistic=Statistic(name="bounds", value="from public images", status="public"),
        )
    rng, half = private.noise("bounds"), config.bounds_epsilon / 2
    ends = []
    for values, quantile in (
        (private.features.min(axis=1), 0.0),
        (private.features.max(axis=1), 1.0),
    ):
        given = values.astype(np.float64)
        ends.append(private_quantile(given, quantile, low=-_CAP, high=_CAP, epsilon=half, rng=rng))
    dim = private.features.shape[1]
    entry = LedgerEntry(
        purpose="range of all features",
        mechanism="exponential mechanism, two quantiles",
        accountant="exact",
        noise_multiplier=2 / half,
        sample_rate=1.0,
        steps=2,
        delta=0.0,
        epsilon=config.bounds_epsilon,
    )
    return _Bounds(
        low=np.full(dim, min(ends), dtype=np.float32),
        high=np.full(dim, max(ends), dtype=np.float32),
        statistic=Statistic(name="bounds", value="one range for all numbers", status="noised"),
        ledger=(entry,),
    )
