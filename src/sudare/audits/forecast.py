"""How long a run will take: foretold before the first build, corrected as it goes."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.limits import MAX_SIZE_PX, MIN_SIZE_PX
from sudare.core.progress import Silent
from sudare.fleets.builds import builds_of
from sudare.nets import build as build_net
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import Recipe
from sudare.training.threads import threads_of_torch

if TYPE_CHECKING:
    from sudare.audits.config import RunConfig
    from sudare.data.splits import AuditSplit
    from sudare.routes.config import RouteConfig

_CALIBRATION_IMAGES, _CALIBRATION_S = 512, 1.0
_AROUND = 1.6
"""What measuring, attacking and starting processes take beside training, as a factor."""
_BUILD_S, _ROUTE_S, _START_S = 2.0, 6.0, 6.0
"""Seconds of a build, a route and a run however little they train: files, answers, attacks."""
_BUILD_MB = 0.6
_EXTRACTOR = 70
"""Passes of a small net that an image forward and back through an extractor takes: as
EfficientNet-Lite0 at 96 pixels beside ConvNet-3 of width 16 at 28."""


@dataclass(frozen=True)
class Forecast:
    """What a run will take.

    Attributes:
        builds: Builds of all routes.
        work: Of each route, all its builds and their recipients together, in passes; what does
            not depend on them counts as the passes its seconds would take.
        per_second: Passes of all workers in a second.
    """

    builds: int
    work: tuple[float, ...]
    per_second: float

    @property
    def seconds(self) -> float:
        """The whole run."""
        return _AROUND * sum(self.work) / self.per_second

    def said(self, cache: Path) -> str:
        """The plan in a line: builds, minutes, disk."""
        free = shutil.disk_usage(cache if cache.exists() else cache.anchor or "/").free
        return (
            f"Plan: {len(self.work)} routes, {self.builds} builds, about "
            f"{_minutes(self.seconds)} here; the cache grows by about "
            f"{_BUILD_MB * self.builds:,.0f} MB ({free / 1e9:,.0f} GB are free)."
        )


def foretell(config: RunConfig, split: AuditSplit, *, device: str, workers: int) -> Forecast:
    """A forecast from what routes say of themselves, and some seconds of training here.

    Args:
        config: The run.
        split: Its images.
        device: Where builds run.
        workers: Processes at once.
    """
    images, classes = len(split.pool) // 2, split.pool.n_classes
    builds = [builds_of(route, config.fleet.builds) for route in config.routes]
    recipients = config.recipients.count * config.recipients.recipe.passes(images)
    per_second = workers * _speed(config, split, device=device)
    work = []
    for index, (route, count) in enumerate(zip(config.routes, builds, strict=True)):
        trained = sum(
            recipients
            for release in route.releases
            if release.recipe_of_scores is None and release.extractor is None
        )
        fixed = count * _BUILD_S / workers + _ROUTE_S + (0 if index else _START_S)
        passes = count * (route.passes(images, classes) + trained) + _checking(config, route, count)
        work.append(passes + fixed * per_second / _AROUND)
    return Forecast(
        builds=sum(builds),
        work=tuple(work),
        per_second=per_second,
    )


def _checking(config: RunConfig, route: RouteConfig, builds: int) -> float:
    """Passes that the checks take on all builds of a route's releases."""
    passes = 0.0
    for release in route.releases:
        weight = 1.0 if release.extractor is None else _EXTRACTOR
        for check in config.checks:
            asked = min(check.builds or builds, builds)
            passes += asked * weight * check.passes(extractor=release.extractor is not None)
    return passes


def _speed(config: RunConfig, split: AuditSplit, *, device: str) -> float:
    """Passes a second of one process, measured on noise."""
    channels, *sides = split.pool.image_shape
    # A run on features takes images that are larger than any net here.
    height, width = (min(max(side, MIN_SIZE_PX), MAX_SIZE_PX) for side in sides)
    shape = (channels, height, width)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (_CALIBRATION_IMAGES, *shape), dtype=np.uint8)
    labels = np.arange(_CALIBRATION_IMAGES) % split.pool.n_classes
    data = TrainingData.of(images, labels, device=device)
    nets = [getattr(route, "net", None) for route in config.routes]
    chosen = next((net for net in nets if net is not None), config.recipients.net)
    net = build_net(chosen, image_shape=shape, n_classes=split.pool.n_classes, seed=0).to(device)
    recipe = Recipe(epochs=1, augmentation=(), compile="off")
    with threads_of_torch(config.fleet.threads):
        train(net, data, recipe, seed=0, progress=Silent(), label="calibration")
        start, seen = time.perf_counter(), 0
        while (spent := time.perf_counter() - start) < _CALIBRATION_S or not seen:
            train(net, data, recipe, seed=0, progress=Silent(), label="calibration")
            seen += _CALIBRATION_IMAGES
    return seen / spent if spent > 0 else float(seen)


class RunClock:
    """How far a run is and how long it still takes.

    Args:
        forecast: What was foretold.
        now: The clock; seconds.
    """

    def __init__(self, forecast: Forecast, *, now: float | None = None) -> None:
        self._forecast = forecast
        self._start = time.monotonic() if now is None else now

    def at(self, route: int, *, now: float | None = None) -> str:
        """What to say when a route begins: share done and time left.

        Where some routes are done, their pace counts; before, the forecast.

        Args:
            route: Its number, from 0.
            now: The clock; seconds.
        """
        done, whole = sum(self._forecast.work[:route]), sum(self._forecast.work)
        left = 1 - done / whole
        elapsed = (time.monotonic() if now is None else now) - self._start
        told = self._forecast.seconds
        # The pace is trusted as far as it has been seen.
        paced = elapsed / (done / whole) if done else told
        share = done / whole
        seconds = left * (share * paced + (1 - share) * told)
        return f"The run: {share:.0%} done, about {_minutes(seconds)} left."


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
