"""The attack step by itself, on the same drawn signals, at a size where it matters.

LeakPro's LiRA on 256 shadows and 20,000 images, Privacy Meter's RMIA on 16 models, 4,000 images and
2,000 population images. Theirs attack one target a call; ours scores every build, each with all
others but its complement as shadows. Nothing is trained.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sudare.attacks.registry import make_test
from sudare.core.scores import Scale, ScoreTable
from sudare.data.plan import draw_plan

from .common import Clock, Task, finish, stand_in
from .leakpro import importable

SIZES = {"lira": (256, 20_000, 0), "rmia": (16, 4_000, 2_000)}
QUICK = {"lira": (16, 500, 0), "rmia": (8, 300, 100)}


def main(folder: Path, task: Task, leakpro: str, meter: str) -> None:
    sizes = SIZES if task.pool >= Task().pool else QUICK
    clock = Clock()
    facts = {"sizes": sizes, "agree": {}}
    # Ours first: the checkouts change the search path.
    lira, rmia = (drawn(*sizes[name]) for name in ("lira", "rmia"))
    mine = timed(
        clock, "lira ours", lambda: make_test("lira", {"variance": "per-example"}).scores(lira)
    )
    test = make_test("rmia_offline", {"a": 0.3, "gamma": 1.0})
    mine_rmia = timed(clock, "rmia ours", lambda: test.calibrated(rmia))
    ranking = timed(clock, "rmia ranking ours", lambda: test.scores(rmia))
    theirs = leakpro_lira(clock, lira, leakpro)
    facts["agree"]["lira"] = float(np.max(np.abs(mine[0] - theirs) / (1 + np.abs(theirs))))
    theirs = meter_rmia(clock, rmia, meter)
    facts["agree"]["rmia"] = float(np.corrcoef(mine_rmia[0], theirs)[0, 1])
    facts["agree"]["rmia ranking"] = float(np.corrcoef(ranking[0], theirs)[0, 1])
    finish(folder, clock, task, **facts)


def timed(clock: Clock, name: str, work: Callable[[], np.ndarray]) -> np.ndarray:
    """Median of three, and what the last gave."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    clock.times[name] = float(np.median(seconds))
    return result


def drawn(builds: int, images: int, population: int) -> ScoreTable:
    units, rng = np.arange(images), np.random.default_rng(0)
    plan = draw_plan(units, units % 10, builds=builds, seed=0)
    phi = (
        3
        + 2 * rng.normal(size=(1, images + population))
        + rng.normal(size=(builds, images + population))
    )
    phi[:, :images] += 0.6 * plan.membership
    return ScoreTable(
        signals={"phi": phi[:, :, None]},
        scales={"phi": Scale.LOGIT},
        membership=plan.membership,
        complement=plan.complement,
        units=units,
        labels=np.arange(images + population) % 10,
    )


def leakpro_lira(clock: Clock, table: ScoreTable, checkout: str) -> np.ndarray:
    """Its loop over images for the first build as target; an image's own deviation."""
    importable(checkout)
    from leakpro.attacks.mia_attacks.lira import AttackLiRA

    shadows = [row for row in range(table.n_builds) if row not in (0, table.complement[0])]
    attack = AttackLiRA.__new__(AttackLiRA)
    phi = table.pool("phi")[:, :, 0]
    members = table.membership[0]
    values = {
        "shadow_models_logits": phi[shadows],
        "target_logits": phi[0],
        "out_indices": ~table.membership[shadows],
        "var_calculation": "fixed",
        "online": True,
        "num_shadow_models": len(shadows),
        "fix_var_threshold": 32,
    }
    for name, value in values.items():
        setattr(attack, name, value)
    data = {"in_members": np.flatnonzero(members), "out_members": np.flatnonzero(~members)}
    type(attack).audit_dataset = data
    attack.configs = type("Configs", (), {"model_dump": lambda self: {}})()

    def run() -> np.ndarray:
        attack.run_attack()
        scores = np.empty(len(members))
        scores[data["in_members"]] = attack.in_member_signals.ravel()
        scores[data["out_members"]] = attack.out_member_signals.ravel()
        return scores

    return timed(clock, "lira leakpro", run)


def meter_rmia(clock: Clock, table: ScoreTable, checkout: str) -> np.ndarray:
    """Its matrix of images by population images, for the first model as target."""
    sys.path.insert(0, checkout)
    stand_in("torchvision", "torchvision.transforms", "transformers", "peft", "datasets")
    sys.modules.pop("attacks", None)
    from attacks import run_rmia

    images, population = (
        1 / (1 + np.exp(-part[:, :, 0].T)) for part in (table.pool("phi"), table.population("phi"))
    )
    models = table.n_builds // 2 - 1
    return timed(
        clock,
        "rmia privacy_meter",
        lambda: run_rmia(0, images, population, table.membership.T, models, 0.3),
    )
