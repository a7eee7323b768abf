"""White-box canaries for DP-SGD: gradients of one coordinate, and what they prove of epsilon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sudare.accounting.ledger import LedgerEntry
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.seeds import generator
from sudare.metrics.epsilon import (
    epsilon_from_gaussian,
    epsilon_one_run,
    epsilon_one_run_fdp,
    one_run_ceiling,
    one_run_guesses,
)

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float


class DiracCanaries:
    """Records whose gradient is one coordinate, each included by a coin of its own.

    A canary's raw gradient is ten times the clipping norm, so that a trainer which forgets to
    clip shows. No two canaries share a coordinate: what the noised gradient holds there is
    the canary's contribution, the noise, and what the images add.

    Args:
        count: m, number of canaries.
        max_grad_norm: Clipping norm of the run, in whose units things are observed.
        expected_batch: What the optimiser divides by.
        seed: Seed of the coins and coordinates; never that of the run.
    """

    def __init__(
        self, count: int, *, max_grad_norm: float, expected_batch: float, seed: int
    ) -> None:
        rng = generator(seed, "dirac canaries")
        self.canaries = count
        self.members: BoolArray = rng.random(count) < 0.5
        self.batches: list[IntArray] = []
        self._rng, self._norm, self._expected = rng, max_grad_norm, expected_batch
        self._coordinates: IntArray | None = None
        self._seen: list[FloatArray] = []

    def sampled(self, rows: torch.Tensor) -> None:
        """Keep the rows of a batch, for the sampler's own test."""
        self.batches.append(rows.cpu().numpy().astype(np.int64))

    def inject(self, parameters: Sequence[torch.nn.Parameter], canaries: torch.Tensor) -> None:
        """Append the raw gradients of drawn members."""
        import torch

        coordinates = self._chosen(parameters)
        drawn = canaries.cpu().numpy()
        drawn = drawn[self.members[drawn]]
        start = 0
        for parameter in parameters:
            size = parameter.numel()
            rows = torch.zeros((len(drawn), size), device=parameter.device)
            here = (coordinates[drawn] >= start) & (coordinates[drawn] < start + size)
            rows[np.flatnonzero(here), coordinates[drawn][here] - start] = 10 * self._norm
            own = vars(parameter)
            own["grad_sample"] = torch.cat([own["grad_sample"], rows.view(-1, *parameter.shape)])
            start += size

    def released(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Read every canary's coordinate off the noised gradient."""
        import torch

        flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        seen = flat[torch.from_numpy(self._chosen(parameters)).to(flat.device)]
        self._seen.append(seen.cpu().numpy().astype(np.float64) * self._expected / self._norm)

    def scores(self) -> dict[str, Float[FloatArray, " m"]]:
        """Statistics of each canary over the steps, higher for members.

        ``sum`` is the best against fresh noise. ``spread``, the standard deviation over
        steps, sees through noise that is the same at every step.
        """
        seen = np.stack(self._seen)
        return {"sum": seen.sum(axis=0), "spread": seen.std(axis=0)}

    def _chosen(self, parameters: Sequence[torch.nn.Parameter]) -> IntArray:
        if self._coordinates is None:
            total = sum(parameter.numel() for parameter in parameters)
            if self.canaries > total:
                raise AuditError(
                    f"{self.canaries} canaries need as many coordinates; the net has {total}",
                    fix="Use fewer canaries or a larger net.",
                )
            self._coordinates = self._rng.choice(total, size=self.canaries, replace=False)
        return self._coordinates


@dataclass(frozen=True, kw_only=True)
class SamplingCheck:
    """Whether batches look drawn by independent coins of the claimed rate.

    Attributes:
        batch_p: p-value of the batch sizes: mean and scatter of a binomial.
        inclusion_p: p-value of how often each record took part: the scatter of a binomial;
            shuffled epochs have none.
    """

    batch_p: float
    inclusion_p: float

    @property
    def refuted(self) -> bool:
        """Whether Poisson sampling is refuted; an honest sampler is in one run of a thousand."""
        return min(self.batch_p, self.inclusion_p) < 0.0005


@dataclass(frozen=True, kw_only=True)
class MechanismAudit:
    """What canaries say about a claimed epsilon.

    Attributes:
        claimed: The ledger's epsilon.
        delta: Of the claim.
        one_run: Lower bound that holds for any mechanism.
        one_run_ceiling: What as many guesses could prove at most.
        gaussian: Lower bound if the noise is Gaussian, as the ledger says.
        gaussian_one_run: The same by the guesses of one run, against the whole trade-off curve.
        sampling: Test of the sampler.
        level: Confidence of the whole, shared by all bounds.
    """

    claimed: float
    delta: float
    one_run: float
    one_run_ceiling: float
    gaussian: float
    gaussian_one_run: float
    sampling: SamplingCheck
    level: float

    @property
    def refuted(self) -> bool:
        """Whether the claim is wrong, or the sampler is not what the claim is about."""
        proved = max(self.one_run, self.gaussian, self.gaussian_one_run)
        return proved > self.claimed or self.sampling.refuted


def audit_mechanism(
    train: Callable[[DiracCanaries], LedgerEntry],
    canaries: DiracCanaries,
    *,
    records: int,
    level: float = 0.95,
    guesses: float = 0.1,
) -> MechanismAudit:
    """Train once under the canaries' eyes and bound epsilon from below.

    Two statistics and three bounds: each is given a sixth of the error.

    Args:
        train: Runs DP-SGD with the canaries as observer, and gives the ledger's entry.
        canaries: Fresh canaries.
        records: Images of the run, without the canaries.
        level: Confidence of the whole.
        guesses: Share of the canaries guessed on, half of it at each end.

    Source:
        Nasr et al. 2023, "Tight auditing of differentially private machine learning" (Dirac
        canaries); Steinke et al. 2023 (one run); Mahloujifar et al. 2024 (one run, f-DP).
    """
    entry = train(canaries)
    each = 1 - (1 - level) / 6
    top = max(1, round(guesses * canaries.canaries / 2))
    one_run, gaussian, curve = 0.0, 0.0, 0.0
    for name, scores in canaries.scores().items():
        made, right = one_run_guesses(
            scores, canaries.members, top=top, bottom=top, rng=generator(0, "guesses", name)
        )
        count, delta = canaries.canaries, entry.delta
        one_run = max(one_run, epsilon_one_run(made, right, count, delta=delta, level=each))
        curve = max(curve, epsilon_one_run_fdp(made, right, count, delta=delta, level=each))
        normal = epsilon_from_gaussian(scores, canaries.members, delta=entry.delta, level=each)
        gaussian = max(gaussian, normal.low or 0.0)
    return MechanismAudit(
        claimed=entry.epsilon,
        delta=entry.delta,
        one_run=one_run,
        one_run_ceiling=one_run_ceiling(2 * top, canaries.canaries, delta=entry.delta, level=each),
        gaussian=gaussian,
        gaussian_one_run=curve,
        sampling=check_sampling(
            canaries.batches, records=records + canaries.canaries, rate=entry.sample_rate
        ),
        level=level,
    )


def check_sampling(batches: Sequence[IntArray], *, records: int, rate: float) -> SamplingCheck:
    """Test batches against independent coins.

    Args:
        batches: Rows of each step.
        records: How many rows there are.
        rate: The claimed rate.
    """
    sizes = np.array([len(batch) for batch in batches], dtype=np.float64)
    counts = np.bincount(np.concatenate([*batches, np.zeros(0, dtype=np.int64)]), minlength=records)
    return SamplingCheck(
        batch_p=_binomial_p(sizes, records, rate),
        inclusion_p=_binomial_p(counts.astype(np.float64), len(batches), rate),
    )


def _binomial_p(counts: FloatArray, trials: int, rate: float) -> float:
    """Two-sided p-value of mean and scatter of counts that should be binomial."""
    from scipy.stats import chi2, norm

    if rate >= 1:
        return 1.0 if bool((counts == trials).all()) else 0.0
    mean, variance = trials * rate, trials * rate * (1 - rate)
    z = (counts.mean() - mean) / np.sqrt(variance / len(counts))
    scatter = ((counts - mean) ** 2).sum() / variance
    tails = [chi2.cdf(scatter, len(counts)), chi2.sf(scatter, len(counts))]
    return float(min(1.0, 2 * min(2 * norm.sf(abs(z)), 2 * min(tails))))
