"""ART as published: ShadowModels and the black-box attack by logistic regression, as ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .common import Clock, Task, auc_of, finish, images_of, make_net, normalised


def main(folder: Path, task: Task) -> None:
    from art.attacks.inference.membership_inference import (
        MembershipInferenceBlackBox,
        ShadowModels,
    )
    from art.estimators.classification import PyTorchClassifier

    torch.manual_seed(0)
    images, labels = images_of(task)
    pixels = normalised(images[: task.pool]).numpy()
    hot = np.eye(10, dtype=np.float32)[labels[: task.pool]]

    class Fitted(PyTorchClassifier):
        """The same epochs and batch for every fit; ART's ShadowModels passes none."""

        def fit(self, x, y, **kwargs):
            super().fit(x, y, batch_size=task.batch, nb_epochs=task.epochs)

        def clone_for_refitting(self):
            return classifier()

    def classifier() -> Fitted:
        net = make_net()
        return Fitted(
            model=net,
            loss=torch.nn.CrossEntropyLoss(),
            optimizer=torch.optim.SGD(net.parameters(), lr=task.lr, momentum=0.9),
            input_shape=(1, 28, 28),
            nb_classes=10,
            device_type="cpu",
        )

    members = np.zeros(task.pool, dtype=bool)
    members[np.random.default_rng(1).permutation(task.pool)[: task.pool // 2]] = True
    target = classifier()
    target.fit(pixels[members], hot[members])
    shadows = ShadowModels(classifier(), num_shadow_models=task.builds, random_state=0)
    clock = Clock()
    inside, outside = clock.time(
        "fleet_s", lambda: shadows.generate_shadow_dataset(pixels, hot, member_ratio=0.5)
    )
    answers = target.predict(pixels)
    aucs, scores = {}, {}
    # "nn" is what it does unless told otherwise; "lr" is the model ours uses.
    for kind, key in (("lr", "shokri"), ("nn", "shokri_nn")):
        attack = MembershipInferenceBlackBox(
            target, attack_model_type=kind, input_type="prediction"
        )

        def run(attack: MembershipInferenceBlackBox = attack) -> np.ndarray:
            attack.fit(None, inside[1], None, outside[1], pred=inside[2], test_pred=outside[2])
            return attack.infer(None, hot, pred=answers, probabilities=True)

        found = clock.time(f"{key}_s", run)
        scores[key] = found[:, -1]
        aucs[key] = auc_of(scores[key], members)
    np.savez(
        folder / "signals.npz",
        inside=inside[2],
        inside_labels=inside[1],
        outside=outside[2],
        outside_labels=outside[1],
        target=answers,
        labels=hot,
        members=members,
        lr=scores["shokri"],
    )
    right = outside[2].argmax(axis=1) == outside[1].argmax(axis=1)
    finish(
        folder,
        clock,
        task,
        targets=1,
        images=task.pool,
        accuracy=float(right.mean()),
        aucs=aucs,
    )
