"""Smoothing strength against data size: one comparison for each size and seed, one table."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sudare.audits.compare import compare
from sudare.audits.config import RunConfig, load_config
from sudare.audits.stages import StageRow, stage_analysis, stage_table
from sudare.core.errors import ConfigError
from sudare.core.files import atomic_write
from sudare.core.progress import Progress
from sudare.fleets.cache import Cache
from sudare.metrics import mean_over_builds

FIGURES: Mapping[str, str] = {
    "accuracy": "utility.accuracy",
    "ece": "utility.ece",
    "rmia": "membership.rmia.auc",
    "top1": "inversion.top1",
    "distance": "inversion.distance",
    "extraction": "inversion.extraction",
    "identity_error": "inversion.identity_error",
    "first_top1": "inversion.first_top1",
    "every_top1": "inversion.every_top1",
    "confidence": "inversion.confidence",
    "cosine": "inversion.gradient_cosine",
}
_CONTROLS = ("random_top1", "real_top1", "random_distance", "prior_distance", "real_distance")
_ALL = 0
"""As many images of each class as there are."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One strength at one data size.

    Attributes:
        alpha: Strength of smoothing.
        per_class: Images of each class in a build; 0 for all.
        values: Figure to its value for each seed.
    """

    alpha: float
    per_class: int
    values: Mapping[str, tuple[float, ...]]

    def mean(self, name: str) -> float:
        """Mean over seeds; NaN where it was not measured."""
        values = self.values.get(name, ())
        return float(np.mean(values)) if values else math.nan

    def text(self, name: str) -> str:
        """Mean, with its interval where there are several seeds."""
        values = np.array(self.values.get(name, ()), dtype=np.float64)
        if not len(values):
            return "-"
        if len(values) < 2:
            return f"{values[0]:.3g}"
        told = mean_over_builds(values)
        return f"{told.value:.3g} ({told.low:.3g} to {told.high:.3g})"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep gave: rows, the controls of each data size, and which stages were hit."""

    rows: tuple[Row, ...]
    controls: Mapping[str, float]
    stages: tuple[StageRow, ...] = ()

    def table(self) -> str:
        """A Markdown table: one row for each data size and strength."""
        head = ["per class", "alpha", *FIGURES, "Acc@1 - plain at equal accuracy"]
        lines = ["| " + " | ".join(head) + " |", "|" + " ---: |" * len(head)]
        for row in self.rows:
            size = "all" if row.per_class == _ALL else str(row.per_class)
            apart = matched(row, self.rows)
            told = "-" if apart is None else f"{apart:+.3f}"
            cells = [size, f"{row.alpha:g}", *(row.text(name) for name in FIGURES), told]
            lines.append("| " + " | ".join(cells) + " |")
        controls = ", ".join(f"{name} {value:.3g}" for name, value in self.controls.items())
        lines += ["", f"Controls, measured once: {controls or 'none'}.", ""]
        return "\n".join([*lines, stage_table(self.stages)] if self.stages else lines)

    def to_json(self) -> str:
        """All values."""
        rows = [
            {"alpha": r.alpha, "per_class": r.per_class, "values": dict(r.values)}
            for r in self.rows
        ]
        values = {"rows": rows, "controls": dict(self.controls)}
        if self.stages:
            values["stages"] = [asdict(row) for row in self.stages]
        return json.dumps(values, indent=1) + "\n"


def sweep_smoothing(
    base: RunConfig,
    folder: Path,
    *,
    alphas: Sequence[float],
    per_class: Sequence[int],
    seeds: int,
    stages: bool = False,
    cache: Cache,
    progress: Progress,
    command: str,
    after_stage: Callable[[Path], object] = lambda folder: None,
) -> Sweep:
    """Train, invert and attack at every strength and data size.

    Data sizes are nested: the images of a smaller one are among those of a larger one. Each size
    and seed is a run of its own with a report, in ``folder/SIZE-seed-SEED``; an interrupted sweep
    goes on where it was.

    Args:
        base: Data, fleet, net, recipe and checks.
        folder: Where runs, ``sweep.json`` and ``sweep.md`` go.
        alphas: Strengths; 0 is plain training.
        per_class: Images of each class in a build; 0 for all.
        seeds: Repetitions of everything, split included.
        stages: Also swap the smoothed net for the plain one in each stage of the attack; 0 must be
            among the strengths.
        cache: Builds and measures.
        progress: Where to report.
        command: The command that repeats it.
        after_stage: Called with a run's folder whenever there is something new to read.

    Raises:
        ConfigError: No strength or size, one given twice, no check of inversion, or stages without
            plain training beside.
    """
    _refuse(base, alphas, per_class, seeds)
    if stages and (0 not in alphas or len(alphas) < 2):
        raise ConfigError(
            "stages are swapped between plain training and another strength",
            where="--alpha",
            fix="Give 0 and another one, for example --alpha -0.05,0,0.1.",
        )
    found: dict[tuple[int, float], dict[str, list[float]]] = {}
    controls: dict[str, float] = {}
    swapped: list[StageRow] = []
    for seed in range(base.seed, base.seed + seeds):
        for size in per_class:
            config = _run_of(base, alphas, size, seed)
            place = folder / f"{size or 'all'}-seed-{seed}"
            progress.say(f"{size or 'all'} images of each class, seed {seed}")
            result = compare(
                config,
                place,
                cache=cache,
                progress=progress,
                command=command,
                after_stage=after_stage,
            )
            told = {
                (f.id, f.release): f.value
                for f in result.findings.findings
                if not f.group and f.value is not None
            }
            for alpha, route in zip(alphas, config.routes, strict=True):
                row = found.setdefault((size, alpha), {})
                for name, figure in FIGURES.items():
                    if (figure, route.name) in told:
                        row.setdefault(name, []).append(told[figure, route.name])
                for name in _CONTROLS:
                    if (f"inversion.{name}", route.name) in told:
                        controls.setdefault(name, told[f"inversion.{name}", route.name])
            if stages:
                names = dict(zip(alphas, (route.name for route in config.routes), strict=True))
                swapped += stage_analysis(
                    config, place, names, per_class=size, cache=cache, progress=progress
                )
            sweep = replace(_sweep(found, controls), stages=tuple(swapped))
            atomic_write(folder / "sweep.json", sweep.to_json())
            atomic_write(folder / "sweep.md", f"`{command}`\n\n{sweep.table()}")
    return sweep


def _refuse(base: RunConfig, alphas: Sequence[float], per_class: Sequence[int], seeds: int) -> None:
    for name, values in (("--alpha", alphas), ("--per-class", per_class)):
        if not values or len(set(values)) != len(values):
            raise ConfigError("nothing to sweep over, or something given twice", where=name)
    if not any(check.kind == "inversion" for check in base.checks):
        raise ConfigError(
            "the sweep is about inversion, and the configuration has no such check",
            where="checks",
            fix='Use --preset inversion, or add [[checks]] kind = "inversion".',
        )
    if seeds < 1:
        raise ConfigError("a sweep needs a seed at least", where="--seeds")


def _run_of(base: RunConfig, alphas: Sequence[float], size: int, seed: int) -> RunConfig:
    values = base.model_dump(mode="json")
    # Whatever the routes of the configuration are, the first trained one says net and recipe.
    trained = [route for route in values["routes"] if "recipe" in route]
    common = {key: trained[0][key] for key in ("net", "recipe")} if trained else {}
    recipe = dict(common.get("recipe", {})) | {"label_smoothing": 0.0}
    values["routes"] = [
        {**common, "recipe": recipe, "kind": "plain"}
        if alpha == 0
        else {**common, "recipe": recipe, "kind": "smoothing", "alpha": alpha}
        for alpha in alphas
    ]
    values["seed"] = seed
    values["data"]["per_class"] = size or None
    values["title"] = f"{base.title}: {size or 'all'} images of each class"
    return load_config(values)


def _sweep(
    found: Mapping[tuple[int, float], Mapping[str, Sequence[float]]], controls: Mapping[str, float]
) -> Sweep:
    rows = tuple(
        Row(
            alpha=alpha,
            per_class=size,
            values={name: tuple(values) for name, values in values_of.items()},
        )
        for (size, alpha), values_of in found.items()
    )
    return Sweep(rows=rows, controls=dict(controls))


def matched(row: Row, rows: Sequence[Row]) -> float | None:
    """Acc@1 less what plain training has at the same accuracy, interpolated over data sizes.

    None for plain itself, and where its accuracies do not span this one.
    """
    plain = sorted((r.mean("accuracy"), r.mean("top1")) for r in rows if r.alpha == 0)
    accuracy, told = row.mean("accuracy"), row.mean("top1")
    if row.alpha == 0 or len(plain) < 2 or math.isnan(told):
        return None
    if not plain[0][0] <= accuracy <= plain[-1][0]:
        return None
    at, leak = zip(*plain, strict=True)
    return told - float(np.interp(accuracy, at, leak))


def pareto(rows: Sequence[Row]) -> list[Row]:
    """Rows of one data size that no other row beats in accuracy, Acc@1 and membership at once."""

    def goods(row: Row) -> tuple[float, float, float]:
        return row.mean("accuracy"), -row.mean("top1"), -row.mean("rmia")

    kept = []
    for row in rows:
        others = [goods(other) for other in rows if other is not row]
        mine = goods(row)
        beaten = any(
            all(o >= m for o, m in zip(other, mine, strict=True)) and other != mine
            for other in others
        )
        if not beaten:
            kept.append(row)
    return kept
