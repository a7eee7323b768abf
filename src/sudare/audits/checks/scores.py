"""Membership scores of a check: how well they tell members, with interval and null control."""

from __future__ import annotations

import dataclasses

import numpy as np

from sudare.audits.checks.base import Stack
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.data.plan import redeal
from sudare.metrics import auc, mean_over_builds, membership_estimates

__all__ = ["judge_scores"]

_REDRAWS = 20
_LEVEL = 0.999
"""Of a null control's interval: a run has dozens of them, and one of twenty would be outside."""


def judge_scores(
    name: str,
    scores: FloatArray,
    stack: Stack,
    maker: FindingMaker,
    *,
    threat: ThreatModel,
    columns: IntArray | None = None,
    alphas: tuple[float, ...] = (0.01,),
    config_hash: str = "",
) -> list[Finding]:
    """AUC and TPR at low FPR over units, and the AUC under redealt membership.

    Args:
        name: Id of the findings, without the figure.
        scores: ``float64 [N, k]``, higher for members.
        stack: Memberships, units and seed.
        maker: Fills in what findings about the release share.
        threat: What the attacker sees.
        columns: ``int64 [k]``, the pool images the scores are about; all if None.
        alphas: False-positive rates.
        config_hash: Hash of the attack's settings.
    """
    columns = np.arange(stack.membership.shape[1]) if columns is None else columns
    members, units = stack.membership[:, columns], stack.units[columns]
    estimates = membership_estimates(
        scores.astype(np.float64),
        members,
        units,
        rng=generator(stack.seed, "bootstrap", name),
        alphas=alphas,
        draws=stack.draws,
    )

    def finding(suffix: str, estimate: Estimate, unit: str = "share") -> Finding:
        return maker.finding(
            f"{name}.{suffix}", estimate, threat=threat, unit=unit, attack_hash=config_hash
        )

    nulls = [
        auc(scores, redeal(members, units, generator(stack.seed, "null", name, draw)))
        for draw in range(_REDRAWS)
    ]
    null = dataclasses.replace(
        mean_over_builds(np.array(nulls), level=_LEVEL),
        n=len(np.unique(units)),
        of_units=True,
        method=f"mean over {_REDRAWS} redraws, t",
    )
    return [
        finding("auc", estimates.auc, "AUC"),
        *(finding(f"tpr@{a:g}", estimate) for a, estimate in estimates.tpr_at.items()),
        finding("null_auc", null, "AUC"),
    ]
