"""What a release costs: seconds to build and to learn from, megabytes to keep and to send."""

from __future__ import annotations

import numpy as np

from sudare.audits.checks.base import BuildResults, Check, CheckInput, Judgement, Measurement
from sudare.audits.checks.built_in import CostCheckConfig
from sudare.audits.finding_context import FindingContext
from sudare.metrics import mean_over_builds
from sudare.releases.store import release_bytes

_FIGURES = {
    "storage_mb": ("storage_mb", "MB"),
    "transfer_mb": ("transfer_mb", "MB"),
    "cpu_s": ("build_cpu_s", "s"),
    "recipient_train_s": ("recipient_train_s", "s"),
}
"""What was measured of a build, with its figure and unit."""


class CostCheck(Check[CostCheckConfig]):
    """Seconds of processors and megabytes of files, a number for each build."""

    def measure(self, tested: CheckInput) -> Measurement:
        """What was spent on this build; of an artefact nobody knows what building it took."""
        size = release_bytes(tested.release.card) / 1e6
        arrays = {name: np.array(value) for name, value in tested.costs.items()}
        arrays |= {"storage_mb": np.array(size), "transfer_mb": np.array(size)}
        return Measurement(arrays=arrays | {"recipients": np.array(tested.recipients)})

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Means over builds; money where a core-hour has a price."""
        arrays, prices = stack.arrays, stack.config.prices
        named = [
            (figure, arrays[name].astype(np.float64), unit)
            for name, (figure, unit) in _FIGURES.items()
            if name in arrays
        ]
        if prices.cpu_hour is not None and "cpu_s" in arrays:
            price = arrays["cpu_s"].astype(np.float64) / 3600 * prices.cpu_hour
            named.append(("build_price", price, prices.currency))
        return Judgement(
            findings=[
                maker.finding(
                    f"cost.{figure}", mean_over_builds(values, bounds=(0.0, np.inf)), unit=unit
                )
                for figure, values, unit in named
            ]
        )
