"""Which stage of model inversion does a training setting hit? Nets are swapped stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sudare.attacks.inversion import PlugAndPlay
from sudare.audits.checks.evaluator import Evaluator, Prepared, attack_of, pixels_of
from sudare.audits.checks.inversion_config import InversionCheckConfig
from sudare.audits.checks.jobs import plan_check
from sudare.audits.config import RunConfig
from sudare.audits.site import prepare_run
from sudare.core.progress import Progress, Silent
from sudare.core.seeds import integer_seed
from sudare.fleets.cache import Cache
from sudare.releases.kinds.classifier import ClassifierRelease
from sudare.releases.store import read_release

STAGES: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "sampling": frozenset({"sampling"}),
    "optimisation": frozenset({"optimisation"}),
    "selection": frozenset({"selection"}),
    "all": frozenset({"sampling", "optimisation", "selection"}),
}
"""Which stages see the net under test; the others see the plain one."""


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """Acc@1 of one attack whose stages saw different nets.

    Attributes:
        alpha: Strength of smoothing of the net under test.
        per_class: Images of each class; 0 for all.
        seed: Seed of the run.
        stage: Which stages saw that net: a key of ``STAGES``.
        top1: Share of attack images that the evaluation net takes for their class.
    """

    alpha: float
    per_class: int
    seed: int
    stage: str
    top1: float


def stage_analysis(
    config: RunConfig,
    folder: Path,
    releases: Mapping[float, str],
    *,
    per_class: int,
    cache: Cache,
    progress: Progress,
) -> list[StageRow]:
    """Attack plain training with one stage after another seeing a smoothed net instead.

    Nets are those of the run's first build, so that intervals are over seeds.

    Args:
        config: A run that has been made, with the check of inversion.
        folder: Its folder.
        releases: Strength to name of release; 0 is plain training.
        per_class: As the run had it, for the rows.
        cache: Where the check's preparation lies.
        progress: Where to report.

    Source:
        Struppek et al. 2024, "Be careful what you smooth for", who ask it of Plug & Play.
    """
    run = prepare_run(config, progress=Silent())
    split, device = run.split, run.device
    check = next(c for c in config.checks if isinstance(c, InversionCheckConfig))
    job = plan_check(
        check,
        split,
        cache=cache,
        seed=config.seed,
        device=device,
        threads=config.fleet.threads,
    ).prepared
    if job is None:
        raise TypeError("the check of inversion prepares nets")
    prepared = Prepared.load(cache.path(job.key), check, split.pool, device=device)
    real = split.pool[np.isin(split.pool.classes, prepared.classes)]
    yardstick = Evaluator(prepared.judge, real, device)
    nets = {alpha: _net(folder / "releases" / name, device) for alpha, name in releases.items()}
    strengths = [alpha for alpha in releases if alpha != 0]
    rows = []
    with progress.stage("stages of inversion", len(strengths) * len(STAGES)) as bar:
        for alpha in strengths:
            for stage, seeing in STAGES.items():
                top1 = _attacked(
                    attack_of(check),
                    {part: nets[alpha if part in seeing else 0.0] for part in STAGES["all"]},
                    prepared,
                    yardstick,
                    seed=integer_seed(config.seed, "stages"),
                    device=device,
                )
                rows.append(
                    StageRow(
                        alpha=alpha, per_class=per_class, seed=config.seed, stage=stage, top1=top1
                    )
                )
                bar.advance()
    return rows


def stage_table(rows: Sequence[StageRow]) -> str:
    """A Markdown table: for each size and strength, Acc@1 by which stages saw the net."""
    head = "| per class | alpha |" + "".join(f" {stage} |" for stage in STAGES)
    lines = [head, "| ---: | ---: |" + " ---: |" * len(STAGES)]
    for size, alpha in dict.fromkeys((row.per_class, row.alpha) for row in rows):
        cells = []
        for stage in STAGES:
            values = [
                row.top1
                for row in rows
                if (row.per_class, row.alpha, row.stage) == (size, alpha, stage)
            ]
            spread = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3g}{spread}")
        lines.append(f"| {size or 'all'} | {alpha:g} | " + " | ".join(cells) + " |")
    said = (
        "Acc@1 where only the named stages see the smoothed net and the others the plain one: "
        "a stage that is hit is one where it falls."
    )
    return "\n".join([*lines, "", said, ""])


def _net(folder: Path, device: str) -> torch.nn.Module:
    release = read_release(folder)
    if not isinstance(release, ClassifierRelease):
        raise TypeError("stages are swapped between classifiers")
    return release.net(device=device).eval()


def _attacked(
    attack: PlugAndPlay,
    nets: Mapping[str, torch.nn.Module],
    prepared: Prepared,
    yardstick: Evaluator,
    *,
    seed: int,
    device: str,
) -> float:
    found = attack(
        nets["optimisation"],
        prepared.prior,
        torch.from_numpy(prepared.classes).to(device),
        seed=seed,
        sampler=nets["sampling"],
        selector=nets["selection"],
    )
    labels = np.repeat(prepared.classes, attack.keep)
    return float(yardstick.top(pixels_of(found.images.flatten(0, 1)), labels, 1).mean())
