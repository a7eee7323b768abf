"""Fairness of a release: its worst class, the spread between classes, gaps between groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sudare.audits.checks.base import (
    BuildResults,
    Check,
    CheckInput,
    Judgement,
    Measurement,
    Pooled,
    Preparation,
)
from sudare.audits.checks.fairness_config import FairnessCheckConfig
from sudare.audits.checks.reference_models import plain_nets, train_plain
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.errors import DataError
from sudare.core.estimates import Estimate
from sudare.core.figures import Figure
from sudare.core.seeds import generator, integer_seed
from sudare.core.wording import say
from sudare.metrics import largest_gap, mean_gap, worst_share
from sudare.nets.predict import predict

SHARES = (0.02, 0.06, 0.2, 0.5, 1.0)
"""Parts of half the population that plain classifiers learn from, from poor to as good as a
build's own."""

_LEAST, _NEAR = 40, 0.02
_DRAWS = 200
_MATCHED = "matched.npy"


class FairnessCheck(Check[FairnessCheckConfig]):
    """Recalls of classes on the test images, build by build, and what they have in common."""

    figures = (
        Figure(id="fairness.worst_class", worse="lower", edition="public"),
        Figure(id="fairness.class_gap", worse="higher", edition="public"),
        Figure(id="fairness.amplification", worse="higher", edition="public"),
        Figure(id="fairness.odds_gap_max", worse="higher", edition="public"),
        Figure(id="fairness.odds_gap_mean", worse="higher", edition="public"),
    )

    prepares = True

    def shares(self) -> bool:
        """Where plain classifiers say what gap goes with what accuracy."""
        return self.config.matched > 0

    def prepare(self, given: Preparation, folder: Path) -> None:
        """Train plain classifiers on ever larger parts of random halves of the population.

        Raises:
            DataError: Too small a population.
        """
        images = given.population
        if len(images) < _LEAST:
            raise DataError(
                "fairness at matched accuracy needs at least "
                f"{_LEAST} images that are nobody's members",
                where="data.population",
                fix="Raise data.population, or set matched = 0 in the check of fairness.",
            )
        seeds, parts = [], []
        for index in range(self.config.matched):
            seed = integer_seed(given.seed, "matched", index)
            order = generator(seed, "half").permutation(len(images))[: len(images) // 2]
            order = order[_classes_in_turn(images.classes[order])]
            parts += [images[np.sort(order[: _size(share, len(order))])] for share in SHARES]
            seeds += [integer_seed(seed, "size", step) for step in range(len(SHARES))]
        train_plain(
            parts,
            given,
            folder,
            net=self.config.net,
            recipe=self.config.recipe,
            seeds=seeds,
            expected_runs=self.config.matched,
        )

    def measure(self, tested: CheckInput) -> Measurement:
        """The answer to each test image; mean logits where several recipients answer."""
        logits = [predict(net, tested.test.images, device=tested.device) for net in tested.nets]
        answers = np.mean(logits, axis=0).argmax(axis=1).astype(np.int64)
        arrays: dict[str, npt.NDArray[Any]] = {"answers": answers}
        if tested.pooled is not None:
            arrays["matched"] = np.load(tested.pooled / _MATCHED)
        return Measurement(arrays=arrays)

    def pools(self) -> bool:
        """Where plain classifiers answer beside every build."""
        return self.shares()

    def prepare_pool(self, given: Pooled, folder: Path) -> None:
        """Answers of the plain classifiers, ``[matched, sizes, n]``."""
        if given.prepared is None:
            raise TypeError("this check prepares nets")
        count = self.config.matched * len(SHARES)
        nets = plain_nets(
            given.prepared, count, given.test, net=self.config.net, device=given.device
        )
        each = [
            predict(net, given.test.images, device=given.device).argmax(axis=1).astype(np.int64)
            for net in nets
        ]
        np.save(folder / _MATCHED, np.stack(each).reshape(self.config.matched, len(SHARES), -1))

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Means over builds."""
        labels = stack.labels.test
        answers_of_builds = stack.arrays["answers"]
        # The largest of noisy differences is no gap: it is chosen on one half of the images.
        right = (answers_of_builds == labels.classes).astype(np.float64)

        def halves(name: str) -> np.random.Generator:
            return generator(stack.seed, "halves", name)

        named = {
            "worst_class": worst_share(right, labels.classes, rng=halves("class")),
            "class_gap": largest_gap(right, labels.classes, rng=halves("class")),
        }
        if labels.groups is not None:
            groups, within = labels.groups, labels.classes
            named["odds_gap_max"] = largest_gap(right, groups, within=within, rng=halves("odds"))
            named["odds_gap_mean"] = mean_gap(right, groups, within=within, rng=halves("odds"))
        found = [maker.finding(f"fairness.{name}", one) for name, one in named.items()]
        if "matched" in stack.arrays:
            plain = (stack.arrays["matched"][0] == labels.classes).astype(np.float64)
            beyond = amplified(right, plain, labels.classes, rng=halves("amplification"))
            found.append(maker.finding("fairness.amplification", beyond))
        return Judgement(findings=found)


def amplified(
    right: FloatArray, plain: FloatArray, classes: IntArray, *, rng: np.random.Generator
) -> Estimate:
    """``amplification`` of right answers, with what the test images add to the doubt.

    Args:
        right: A release's right answers, ``float64 [N, n]``.
        plain: Those of plain classifiers, ``float64 [R, sizes, n]``.
        classes: Class of each test image ``[n]``.
        rng: Draws test images, within classes.
    """
    found = amplification(recalls(right, classes), recalls(plain, classes))
    if found.value is None or found.low is None:
        return found
    rows = [np.flatnonzero(classes == label) for label in np.unique(classes)]
    drawn = []
    for _ in range(_DRAWS):
        some = np.concatenate([rng.choice(own, size=len(own)) for own in rows])
        of, than = (recalls(side[..., some], classes[some]) for side in (right, plain))
        value = _beyond(of, than)[0].mean()
        drawn.append(value)
    return amplification(
        recalls(right, classes), recalls(plain, classes), of_images=float(np.std(drawn))
    )


def amplification(
    each: FloatArray, plain: FloatArray, *, of_images: float = 0.0, level: float = 0.95
) -> Estimate:
    """Gap between classes less that of plain classifiers which are right as often.

    Args:
        each: Recalls of a release's builds, ``float64 [N, C]``.
        plain: Recalls of plain classifiers, ``float64 [R, sizes, C]``: each random part of the
            population at each of its sizes.
        of_images: Standard deviation that the draw of the test images gives the difference.
        level: Nominal coverage.

    Returns:
        The difference, with an interval that counts builds and random parts as draws
        (Welch-Satterthwaite); no value where no size of plain classifier comes within 0.02 of the
        release's accuracy, no interval for one build or one part.
    """
    from scipy.stats import norm, t

    builds, parts = len(each), len(plain)
    method = say("method.welch")
    accuracy, reached = np.nanmean(each, axis=1), np.nanmean(plain, axis=2).mean(axis=0)
    mean, least, most = float(accuracy.mean()), float(reached.min()), float(reached.max())
    if not least - _NEAR <= mean <= most + _NEAR:
        return Estimate.unresolvable(
            n=builds,
            method=method,
            reason=say(
                "reason.no_equal",
                mean=f"{mean:.2f}",
                least=f"{least:.2f}",
                most=f"{most:.2f}",
            ),
            of_units=False,
        )
    beyond, usual = _beyond(each, plain)
    value = float(beyond.mean())
    if min(builds, parts) < 2:
        return Estimate(
            value=value, low=None, high=None, n=builds, method=method, level=level, of_units=False
        )
    of_builds = float(beyond.var(ddof=1)) / builds
    of_parts = float(usual.mean(axis=1).var(ddof=1)) / parts
    both = of_builds + of_parts
    free = both**2 / max(of_builds**2 / (builds - 1) + of_parts**2 / (parts - 1), 1e-300)
    reach = float(t.ppf((1 + level) / 2, max(free, 1.0))) * both**0.5
    reach = float(np.hypot(reach, norm.ppf((1 + level) / 2) * of_images))
    return Estimate(
        value=value,
        low=max(value - reach, -1.0),
        high=min(value + reach, 1.0),
        n=builds,
        method=method,
        level=level,
        of_units=False,
    )


def _beyond(each: FloatArray, plain: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Each build's gap beyond that of plain classifiers as accurate, and theirs ``[R, N]``."""
    accuracy, reached = np.nanmean(each, axis=1), np.nanmean(plain, axis=2).mean(axis=0)
    order = np.argsort(reached)
    # One curve of gap over accuracy for each random part; they share their mean accuracies. A
    # single build beyond the ends is held against the end.
    usual = np.stack([np.interp(accuracy, reached[order], own[order]) for own in _gap(plain)])
    return _gap(each) - usual.mean(axis=0), usual


def _gap(recall: FloatArray) -> FloatArray:
    found: FloatArray = np.nanmax(recall, axis=-1) - np.nanmin(recall, axis=-1)
    return found


def _size(share: float, whole: int) -> int:
    return max(2, round(share * whole))


def _classes_in_turn(classes: IntArray) -> IntArray:
    """An order whose every beginning has the classes in about their proportions."""
    place = np.empty(len(classes))
    for label in np.unique(classes):
        rows = np.nonzero(classes == label)[0]
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.argsort(place, kind="stable")


def recalls(right: FloatArray, classes: IntArray) -> FloatArray:
    """Share of right answers ``[..., n]`` in each class that has an image, ``[..., C]``."""
    of = [right[..., classes == label].mean(axis=-1) for label in np.unique(classes)]
    found: FloatArray = np.stack(of, axis=-1)
    return found
