"""Ours: the fleet as `sudare compare` runs it, and every attack on every build."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from .common import NET, Clock, Task, auc_of, finish, images_of


def main(folder: Path, task: Task) -> None:
    from sudare.attacks.registry import make_test
    from sudare.audits.checks.built_in import MembershipCheckConfig
    from sudare.audits.checks.jobs import load_arrays, plan_check
    from sudare.audits.checks.recipient_models import RecipientsJob
    from sudare.audits.checks.signal_tables import SignalTables
    from sudare.audits.checks.trial import Trial
    from sudare.core.progress import Silent
    from sudare.data.images import ImageDataset
    from sudare.data.plan import draw_plan
    from sudare.data.splits import AuditSplit
    from sudare.fleets.builds import BuildPlan, build_jobs
    from sudare.fleets.cache import Cache
    from sudare.fleets.local import LocalExecutor
    from sudare.recipients.config import RecipientConfig
    from sudare.routes.registry import parse_route

    images, labels = images_of(task)
    data = ImageDataset(
        images=images,
        labels=labels,
        class_names=tuple("0123456789"),
        unit=np.arange(len(labels)),
        name="task",
    )
    pool, population = data[: task.pool], data[task.pool :]
    test = population.with_units(population.unit + len(labels))
    split = AuditSplit(pool=pool, public=data[:0], population=population, test=test)
    plan = draw_plan(pool.unit, pool.classes, builds=task.builds, seed=0)
    recipe = {
        "epochs": task.epochs,
        "batch_size": task.batch,
        "lr": task.lr,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "augmentation": [],
    }
    route = parse_route({"kind": "plain", "net": NET, "recipe": recipe})
    clock = Clock()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        cache = Cache(Path(name))
        builds = BuildPlan(
            pool=pool,
            public=split.public,
            membership=plan.membership,
            seed=0,
            device="cpu",
            threads=1,
        )
        jobs = build_jobs(builds, route, cache)
        recipients, check = RecipientConfig(), MembershipCheckConfig(queries=1)
        models = [RecipientsJob.of_build(job, route.name, recipients) for job in jobs]
        work = plan_check(check, split, cache=cache, seed=0, device="cpu", threads=1)
        measures = [work.job(one) for one in models]

        def fleet() -> None:
            with LocalExecutor(cache, workers=2, threads=1) as executor:
                chains = list(zip(jobs, models, measures, strict=True))
                executor.run(chains, progress=Silent(), label="fleet")

        clock.time("fleet_s", fleet)
        arrays = load_arrays([cache.path(job.key) for job in measures])
        trial = Trial.of(plan.membership, pool.unit, pool.classes, seed=0)
        table = SignalTables.read(arrays, trial, population=population.classes).whole
    answers = table.pool("log_posterior").argmax(axis=2)
    right = answers == labels[: task.pool]
    table = replace(table, signals={n: np.asarray(v) for n, v in table.signals.items()})
    aucs = {}
    for name in ("lira", "rmia", "rmia_offline", "shokri"):
        settings = {"variance": "fixed"} if name == "lira" else {}
        test = make_test(name, settings)
        scores = clock.time(f"{name}_s", lambda test=test: test.scores(table))
        aucs[name] = auc_of(scores, plan.membership)
    finish(
        folder,
        clock,
        task,
        targets=task.builds,
        accuracy=float(right[~plan.membership].mean()),
        aucs=aucs,
    )
