"""LeakPro as published: a target, its shadow handler, LiRA and RMIA."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader

from .common import Clock, Task, auc_of, finish, images_of, make_net, normalised, stand_in


class TargetNet(nn.Module):
    """The net, with no arguments, as LeakPro makes its models."""

    def __init__(self) -> None:
        super().__init__()
        self.net = make_net()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images)


def scores_of(attack, members: np.ndarray) -> np.ndarray:
    """Scores of the last run, in the order of the audit's images."""
    scores = np.empty(len(members))
    scores[attack.audit_dataset["in_members"]] = attack.in_member_signals.ravel()
    scores[attack.audit_dataset["out_members"]] = attack.out_member_signals.ravel()
    return scores


def importable(checkout: str) -> None:
    """Let the checkout be imported, without what it imports and this comparison never calls."""
    sys.path.insert(0, checkout)
    stand_in(
        "torchvision",
        "torchvision.transforms",
        "torchvision.utils",
        "torchvision.models",
        "umap",
        "ts2vec",
        "transformers",
        "sentence_transformers",
        "kornia",
        "lpips",
        "blobfile",
        "numba",
    )


def main(folder: Path, task: Task, checkout: str) -> None:
    importable(checkout)
    import joblib
    import yaml
    from leakpro import LeakPro
    from leakpro.attacks.utils.shadow_model_handler import ShadowModelHandler
    from leakpro.input_handler.abstract_input_handler import AbstractInputHandler
    from leakpro.schemas import EvalOutput, TrainingOutput

    class Handler(AbstractInputHandler):
        """The loop of LeakPro's own examples, without early stopping."""

        def train(self, dataloader, model=None, criterion=None, optimizer=None, epochs=None):
            model.train()
            for _ in range(epochs):
                for data, target in dataloader:
                    optimizer.zero_grad()
                    loss = criterion(model(data), target)
                    loss.backward()
                    optimizer.step()
            return TrainingOutput(model=model, metrics=EvalOutput(accuracy=0.0, loss=0.0))

        def eval(self, dataloader, model, criterion):
            model.eval()
            right = total = 0
            with torch.no_grad():
                for data, target in dataloader:
                    right += (model(data).argmax(dim=1) == target).sum().item()
                    total += len(target)
            return EvalOutput(accuracy=right / total, loss=0.0)

        class UserDataset(AbstractInputHandler.UserDataset):
            """Images in memory."""

            def __init__(self, data, targets, **kwargs):
                self.data, self.targets = data, targets
                for name, value in kwargs.items():
                    setattr(self, name, value)

            def __getitem__(self, index):
                return self.data[index], self.targets[index]

            def __len__(self):
                return len(self.targets)

    os.chdir(folder)
    torch.manual_seed(0)
    # It takes every image of the file for its shadows, so the file is the pool alone: with half
    # of it each shadow trains on as many images as ours.
    images, labels = (part[: task.pool] for part in images_of(task))
    # joblib must find the class again.
    globals()["UserDataset"] = Handler.UserDataset
    Handler.UserDataset.__qualname__ = "UserDataset"
    Handler.UserDataset.__module__ = __name__
    data = Handler.UserDataset(normalised(images), torch.from_numpy(labels))
    target, criterion = TargetNet(), nn.CrossEntropyLoss()
    optimizer = optim.SGD(target.parameters(), lr=task.lr, momentum=0.9)
    rows = np.random.default_rng(1).permutation(task.pool)
    inside, outside = rows[: task.pool // 2].tolist(), rows[task.pool // 2 :].tolist()
    loader = DataLoader(torch.utils.data.Subset(data, inside), batch_size=task.batch, shuffle=True)
    handler = Handler
    trained = Handler.train(None, loader, target, criterion, optimizer, task.epochs)
    whole = DataLoader(data, batch_size=task.batch, shuffle=True)
    described = LeakPro.make_mia_metadata(
        train_result=trained,
        optimizer=optimizer,
        loss_fn=criterion,
        dataloader=whole,
        test_result=EvalOutput(accuracy=0.0, loss=0.0),
        epochs=task.epochs,
        train_indices=inside,
        test_indices=outside,
        dataset_name="task",
    )
    (folder / "target").mkdir(exist_ok=True)
    joblib.dump(data, folder / "data.pkl")
    torch.save(target.state_dict(), folder / "target" / "target_model.pkl")
    (folder / "target" / "model_metadata.pkl").write_bytes(pickle.dumps(described))
    (folder / "target_net.py").write_text(
        "from benchmarks.membership.peers.leakpro import TargetNet\n"
    )
    shadows = {"online": True, "num_shadow_models": task.builds, "training_data_fraction": 0.5}
    config = {
        "audit": {
            "random_seed": 0,
            "attack_list": [
                {"attack": "lira", "var_calculation": "fixed", **shadows},
                {"attack": "rmia", **shadows},
            ],
            "output_dir": str(folder / "out"),
            "attack_type": "mia",
            "data_modality": "tabular",
        },
        "target": {
            "module_path": str(folder / "target_net.py"),
            "model_class": "TargetNet",
            "target_folder": str(folder / "target"),
            "data_path": str(folder / "data.pkl"),
        },
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(config))
    clock = Clock()
    tool = LeakPro(handler, str(folder / "audit.yaml"))
    lira, rmia = tool.attack_scheduler.attacks
    clock.time("fleet_s", lira.prepare_attack)
    lira.run_attack()
    clock.time("lira_s", lira.run_attack)
    rmia.prepare_attack()
    clock.time("rmia_s", rmia.run_attack)
    accuracies = [
        meta.test_result.accuracy
        for meta in ShadowModelHandler().get_shadow_model_metadata(lira.shadow_model_indices)
    ]
    members = np.zeros(len(lira.target_logits), dtype=bool)
    members[lira.audit_dataset["in_members"]] = True
    scores = scores_of(lira, members)
    aucs = {"lira": auc_of(scores, members), "rmia": auc_of(scores_of(rmia, members), members)}
    # The same signals with its other name for one variance.
    lira.var_calculation = "carlini"
    lira.run_attack()
    np.savez(
        folder / "signals.npz",
        shadows=lira.shadow_models_logits,
        target=lira.target_logits,
        inside=~lira.out_indices,
        members=members,
        lira=scores,
        lira_carlini=scores_of(lira, members),
        shadow_logits=np.array(rmia.logits_shadow_models),
        target_logits=np.array(rmia.logits_theta),
        labels=rmia.ground_truth_indices,
        ratio_z=rmia.ratio_z[0],
        rmia=scores_of(rmia, members),
        gamma=rmia.gamma,
        temperature=rmia.temperature,
        epsilon=rmia.epsilon,
    )
    finish(
        folder,
        clock,
        task,
        targets=1,
        images=len(scores),
        accuracy=float(np.mean(accuracies)),
        aucs=aucs,
    )
