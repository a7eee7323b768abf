"""Privacy Meter as published: model pairs, signals, RMIA offline with its tuning of a."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import numpy as np
import torch

from .common import Clock, Task, auc_of, finish, images_of, make_net, normalised, stand_in


class Images(torch.utils.data.Dataset):
    """Images in memory."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[index], self.labels[index]


def main(folder: Path, task: Task, checkout: str) -> None:
    sys.path.insert(0, checkout)
    stand_in(
        "torchvision",
        "torchvision.transforms",
        "transformers",
        "peft",
        "datasets",
        "accelerate",
    )
    import audit
    from get_signals import get_model_signals
    from models import utils

    import attacks

    # The tool's own place for another architecture; its rate is multiplied by a schedule that
    # peaks near 0.1.
    utils.get_model = lambda *_: make_net()
    configs = {
        "run": {"log_dir": str(folder / "log"), "num_experiments": 1, "random_seed": 0},
        "audit": {
            "algorithm": "RMIA",
            "num_ref_models": task.builds // 2 - 1,
            "device": "cpu",
            "batch_size": 512,
        },
        "train": {
            "model_name": "CNN",
            "device": "cpu",
            "batch_size": task.batch,
            "optimizer": "SGD",
            "learning_rate": 10 * task.lr,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "epochs": task.epochs,
        },
        "data": {"dataset": "cifar10", "data_dir": str(folder)},
    }
    os.chdir(folder)
    for name in ("log/report/exp", "log/models", "log/signals"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("privacy meter")
    torch.manual_seed(0)
    images, labels = images_of(task)
    data = Images(normalised(images), torch.from_numpy(labels))
    pool = torch.utils.data.Subset(data, range(task.pool))
    population = torch.utils.data.Subset(data, range(task.pool, task.pool + task.population))
    splits, memberships = utils.split_dataset_for_training(task.pool, task.builds // 2)
    clock = Clock()

    def fleet() -> tuple[np.ndarray, np.ndarray]:
        models = utils.train_models(
            configs["run"]["log_dir"], pool, splits, memberships, configs, logger
        )
        return (
            get_model_signals(models, pool, configs, logger),
            get_model_signals(models, population, configs, logger, is_population=True),
        )

    signals, of_population = clock.time("fleet_s", fleet)
    scores, _ = clock.time(
        "rmia_offline_tuned_s",
        lambda: audit.audit_models(
            str(folder / "log/report/exp"),
            [0],
            signals,
            of_population,
            memberships,
            configs["audit"]["num_ref_models"],
            logger,
            configs,
        ),
    )
    plain = clock.time(
        "rmia_offline_s",
        lambda: attacks.run_rmia(
            0, signals, of_population, memberships.T, configs["audit"]["num_ref_models"], 0.3
        ),
    )
    np.savez(
        folder / "signals.npz",
        signals=signals,
        population=of_population,
        membership=memberships,
        rmia=plain,
    )
    finish(
        folder,
        clock,
        task,
        targets=1,
        images=task.pool,
        accuracy=accuracy_of(folder, memberships),
        aucs={"rmia_offline": auc_of(scores[0], memberships[0])},
    )


def accuracy_of(folder: Path, memberships: np.ndarray) -> float:
    """Accuracy on held-out halves, as the tool wrote it beside its models."""
    import json

    described = json.loads((folder / "log/models/models_metadata.json").read_text())
    return float(np.mean([model["test_acc"] for model in described.values()]))
