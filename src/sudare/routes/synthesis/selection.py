"""Which generator, how varied and how filtered: by what a student learns from it (CAS)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sudare.core.progress import Progress
from sudare.core.wording import say
from sudare.routes.base import Choice
from sudare.routes.synthesis.config import SelectionConfig


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to draw images.

    Attributes:
        snapshot: Number of the generator's state.
        sigma: Standard deviation of the latent.
        threshold: Of the filter; -1 for none.
    """

    snapshot: int
    sigma: float
    threshold: float


Teach = Callable[[Setting, int, int], float]
"""A setting, steps and the number of a repetition to a student's score on held-out images."""


def successive_halving(
    count: int, score: Callable[[int, int, int], float], *, steps: int, seeds: int
) -> tuple[int, list[float]]:
    """The best of so many candidates: the better half goes on, with twice the steps.

    Args:
        count: Candidates.
        score: Candidate, steps and repetition to its score.
        steps: Steps in the last round, halved for each round before.
        seeds: Repetitions in the last round; one in those before.

    Returns:
        The chosen one, and the last score of each.

    Source:
        Jamieson and Talwalkar 2016, "Non-stochastic best arm identification", algorithm 1.
    """
    alive, latest = list(range(count)), [math.nan] * count
    rounds = max(1, math.ceil(math.log2(count)))
    for left in range(rounds - 1, -1, -1):
        budget, repeats = max(1, steps >> left), seeds if left == 0 else 1
        for candidate in alive:
            found = [score(candidate, budget, repeat) for repeat in range(repeats)]
            latest[candidate] = float(np.mean(found))
        # Of equals the earlier stays: it has seen its images less often.
        alive.sort(key=lambda candidate: (-latest[candidate], candidate))
        alive = sorted(alive[: max(1, math.ceil(len(alive) / 2))])
    return alive[0], latest


def select(
    names: Sequence[str],
    notes: Sequence[str],
    teach: Teach,
    config: SelectionConfig,
    progress: Progress,
) -> tuple[Setting, list[Choice]]:
    """Choose the generator's state, then the latent's spread, then the filter.

    Args:
        names: The generator's states.
        notes: What went wrong in each, or empty.
        teach: Trains a student and scores it; it never sees a test image.
        config: Candidates and budgets.
        progress: Where to report.
    """
    rounds = max(1, math.ceil(math.log2(len(names))))
    halves = [math.ceil(len(names) / 2**done) for done in range(rounds)]
    students = sum(halves[:-1]) + halves[-1] * config.seeds
    students += config.seeds * sum(
        len(options) for options in (config.sigmas, config.thresholds) if len(options) > 1
    )
    with progress.stage("what images teach", students) as bar:

        def counted(setting: Setting, steps: int, repeat: int) -> float:
            found = teach(setting, steps, repeat)
            bar.advance()
            return found

        def of_snapshot(index: int, steps: int, repeat: int) -> float:
            return counted(Setting(snapshot=index, sigma=1.0, threshold=-1.0), steps, repeat)

        chosen, scores = successive_halving(
            len(names), of_snapshot, steps=config.steps, seeds=config.seeds
        )
        choices = [
            Choice(
                what="generator",
                options=tuple(names),
                scores=tuple(scores),
                chosen=chosen,
                notes=tuple(notes),
            )
        ]

        def sweep(what: str, options: Sequence[Setting], labels: Sequence[str]) -> Setting:
            if len(options) == 1:
                return options[0]
            found = [
                float(np.mean([counted(option, config.steps, r) for r in range(config.seeds)]))
                for option in options
            ]
            best = int(np.argmax(found))
            choices.append(
                Choice(what=what, options=tuple(labels), scores=tuple(found), chosen=best)
            )
            return options[best]

        base = sweep(
            "sigma",
            [Setting(snapshot=chosen, sigma=sigma, threshold=-1.0) for sigma in config.sigmas],
            [f"{sigma:g}" for sigma in config.sigmas],
        )
        base = sweep(
            "filter",
            [
                Setting(snapshot=chosen, sigma=base.sigma, threshold=threshold)
                for threshold in config.thresholds
            ],
            [filter_name(threshold) for threshold in config.thresholds],
        )
    return base, choices


def filter_name(threshold: float) -> str:
    """A filter in a word or two."""
    if threshold < 0:
        return say("option.no_filter")
    if threshold == 0:
        return say("option.teacher_agrees")
    return say("option.sure", share=f"{threshold:g}")
