"""Evasion attacks against foolbox, ART and the original AutoAttack: accuracy, agreement, time.

    python -m benchmarks.robustness.run convnet --autoattack DIR    # one net: a part
    python -m benchmarks.robustness.run all --autoattack DIR        # every part not there yet
    python -m benchmarks.robustness.run render                      # README.md from the parts

DIR is a checkout of fra31/auto-attack; without it, and without ART installed, their rows are left
out. Every attack sees the same net, images and ball on one thread; times are processor time.
``--preset smoke`` takes 40 images.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from benchmarks.parts import Parts

from sudare.attacks.evasion import (
    AutoAttack,
    AutoPgd,
    CarliniWagner,
    DeepFool,
    Fgsm,
    Pgd,
    PixelNet,
    Square,
)
from sudare.attacks.evasion.base import fooled
from sudare.audits.environment import made_by
from sudare.core.progress import auto
from sudare.data.sources import load_source
from sudare.nets import NetConfig, build
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import Recipe

HERE = Path(__file__).parent
PARTS = HERE / "parts"
NETS = {
    "convnet": (NetConfig(width=16), Recipe(epochs=6, lr=0.05, augmentation=())),
    "adversarial": (
        NetConfig(width=16),
        Recipe(epochs=4, lr=0.05, augmentation=(), adversarial=12, adversarial_steps=5),
    ),
    "resnet9": (NetConfig(name="resnet9", width=8), Recipe(epochs=4, lr=0.05, augmentation=())),
}
EPSILON = {"convnet": 4 / 255, "adversarial": 12 / 255, "resnet9": 4 / 255}
TRAINED_ON, IMAGES, L2 = 12_000, 1_000, 0.5
STEPS, QUERIES, CW_STEPS, SEARCHES = 50, 500, 60, 3
AUTO_STEPS, AUTO_QUERIES = 20, 200
AT_ONCE = 64
Attack = Callable[[PixelNet, torch.Tensor, torch.Tensor], torch.Tensor]


def main() -> None:
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    parts = Parts(__doc__, HERE, tuple(NETS), ((name, 0) for name in NETS))
    parts.parser.add_argument("--autoattack", type=Path, default=None)
    parts.run(
        lambda name, _, options: measured(
            name, 40 if options.preset else IMAGES, autoattack=options.autoattack
        ),
        render,
        name=lambda what, _: what,
    )


def measured(name: str, count: int, *, autoattack: Path | None) -> dict:
    if autoattack:
        sys.path.insert(0, str(autoattack))
    source = load_source("fashion-mnist")
    config, recipe = NETS[name]
    net = build(config, image_shape=source.train.image_shape, n_classes=10, seed=0)
    rows = np.random.default_rng(0).permutation(len(source.train))[:TRAINED_ON]
    part = source.train[np.sort(rows)]
    data = TrainingData.of(part.images, part.classes, device="cpu")
    train(net, data, recipe, seed=0, progress=auto(), label=name)
    if source.test is None:
        raise SystemExit("Fashion-MNIST has a test set")
    test = source.test[:count]
    images = torch.from_numpy(np.array(test.images)).float() / 255
    labels = torch.from_numpy(np.array(test.classes))
    view, epsilon = PixelNet(net), EPSILON[name]
    right = ~fooled(view, images, labels)
    found = {}
    for kind, attacks in contestants(epsilon).items():
        found[kind] = {}
        for who, attack in attacks.items():
            start = time.process_time()
            pairs = zip(images.split(AT_ONCE), labels.split(AT_ONCE), strict=True)
            changed = torch.cat([attack(view, some, own) for some, own in pairs])
            took = time.process_time() - start
            still = right & ~fooled(view, changed, labels)
            size = 2 if kind in ("DeepFool, L2", "C&W, L2") else torch.inf
            apart = (changed - images).flatten(1).norm(p=size, dim=1)
            limit = L2 if size == 2 else epsilon
            # What leaves the ball has not won, whoever made it.
            still |= right & (apart > limit * 1.001 + 1e-6)
            found[kind][who] = {"robust": still.tolist(), "cpu_s": took}
            print(f"{name}, {kind}, {who}: {still.float().mean():.3f} in {took:.0f} s", flush=True)
    return {
        "accuracy": float(right.float().mean()),
        "epsilon": epsilon,
        "images": count,
        "attacks": found,
        **made_by(f"python -m benchmarks.robustness.run {name} --autoattack DIR", HERE),
    }


def contestants(epsilon: float) -> dict[str, dict[str, Attack]]:
    """Kind of attack to who makes it, ours first."""
    found: dict[str, dict[str, Attack]] = {
        "FGSM": {"sudare": Fgsm(epsilon=epsilon)},
        "PGD": {"sudare": Pgd(epsilon=epsilon, steps=STEPS, relative_step=0.05)},
        "DeepFool, L2": {"sudare": DeepFool(epsilon=L2, norm="l2")},
        "C&W, L2": {
            "sudare": CarliniWagner(epsilon=L2, steps=CW_STEPS, searches=SEARCHES, lr=0.01)
        },
        "APGD, cross-entropy": {"sudare": AutoPgd(epsilon=epsilon, steps=STEPS)},
        "Square": {"sudare": Square(epsilon=epsilon, queries=QUERIES)},
        "AutoAttack": {
            "sudare": AutoAttack(epsilon=epsilon, steps=AUTO_STEPS, queries=AUTO_QUERIES)
        },
    }
    for kind, attack in _foolbox(epsilon).items():
        found[kind]["foolbox"] = attack
    if find_spec("art") is not None:
        for kind, attack in _art(epsilon).items():
            found[kind]["ART"] = attack
    if find_spec("autoattack") is not None:
        found["AutoAttack"]["original"] = _original(epsilon)
    return found


def _foolbox(epsilon: float) -> dict[str, Attack]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox

    def wrapped(attack: foolbox.attacks.base.Attack, limit: float) -> Attack:
        def run(net: PixelNet, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = foolbox.PyTorchModel(net, bounds=(0, 1))
                found: torch.Tensor = attack(model, images, labels, epsilons=limit)[1]
            return found

        return run

    attacks = foolbox.attacks
    return {
        "FGSM": wrapped(attacks.LinfFastGradientAttack(), epsilon),
        "PGD": wrapped(attacks.LinfPGD(rel_stepsize=0.05, steps=STEPS), epsilon),
        "DeepFool, L2": wrapped(attacks.L2DeepFoolAttack(steps=50), L2),
        "C&W, L2": wrapped(
            attacks.L2CarliniWagnerAttack(
                steps=CW_STEPS, binary_search_steps=SEARCHES, initial_const=1.0, stepsize=0.01
            ),
            L2,
        ),
    }


def _art(epsilon: float) -> dict[str, Attack]:
    from art.attacks.evasion import AutoProjectedGradientDescent, SquareAttack
    from art.attacks.evasion import ProjectedGradientDescentPyTorch as ArtPgd
    from art.estimators.classification import PyTorchClassifier

    def wrapped(make: Callable) -> Attack:
        def run(net: PixelNet, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            estimator = PyTorchClassifier(
                net,
                loss=torch.nn.CrossEntropyLoss(),
                input_shape=tuple(images.shape[1:]),
                nb_classes=10,
                clip_values=(0.0, 1.0),
                device_type="cpu",
            )
            found = make(estimator).generate(images.numpy(), labels.numpy())
            return torch.from_numpy(found)

        return run

    return {
        "PGD": wrapped(
            lambda net: ArtPgd(
                net,
                eps=epsilon,
                eps_step=0.05 * epsilon,
                max_iter=STEPS,
                num_random_init=1,
                batch_size=AT_ONCE,
                verbose=False,
            )
        ),
        "APGD, cross-entropy": wrapped(
            lambda net: AutoProjectedGradientDescent(
                net,
                eps=epsilon,
                eps_step=2 * epsilon,
                max_iter=STEPS,
                nb_random_init=1,
                batch_size=AT_ONCE,
                loss_type="cross_entropy",
                verbose=False,
            )
        ),
        "Square": wrapped(
            lambda net: SquareAttack(
                net, eps=epsilon, max_iter=QUERIES, nb_restarts=1, batch_size=AT_ONCE, verbose=False
            )
        ),
    }


def _original(epsilon: float) -> Attack:
    from autoattack import AutoAttack

    def run(net: PixelNet, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        attack = AutoAttack(
            net, norm="Linf", eps=epsilon, version="standard", device="cpu", verbose=False
        )
        for part in (attack.apgd, attack.apgd_targeted, attack.fab):
            part.n_iter = AUTO_STEPS
        attack.square.n_queries = AUTO_QUERIES
        found: torch.Tensor = attack.run_standard_evaluation(images, labels, bs=AT_ONCE)
        return found

    return run


def render() -> str:
    text = [
        "# Evasion against other libraries\n",
        f"Fashion-MNIST, {IMAGES:,} test images, nets trained on {TRAINED_ON:,}: ConvNet-3, width "
        "16, the same trained adversarially, ResNet-9 of width 8. Robust accuracy: still right "
        "inside the ball (Linf as given, L2 of 0.5). One thread, processor time, every attack one "
        f"after the other on the same net, {AT_ONCE} images at a time: PGD and APGD {STEPS} steps, "
        f"Square {QUERIES} queries, "
        f"C&W {SEARCHES} searches of {CW_STEPS} steps. AutoAttack is the standard sequence with "
        "all nine targets (APGD-CE, APGD-T, FAB-T, Square) at a fifth of its steps and less of "
        f"its queries, {AUTO_STEPS} and {AUTO_QUERIES}, for both: what is compared is the two "
        "implementations.\n",
        "    python -m benchmarks.robustness.run all --autoattack DIR\n",
        "| net | attack | who | robust accuracy | less ours | same image by image | time | "
        "times ours |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    parts = {
        name: json.loads((PARTS / f"{name}.json").read_text())
        for name in NETS
        if (PARTS / f"{name}.json").exists()
    }
    for name, part in parts.items():
        for kind, rows in part["attacks"].items():
            own = rows["sudare"]
            for who, row in rows.items():
                mine, theirs = np.array(own["robust"]), np.array(row["robust"])
                beside = (
                    [f"{theirs.mean() - mine.mean():+.3f}", f"{(mine == theirs).mean():.3f}"]
                    if who != "sudare"
                    else ["", ""]
                )
                ratio = "" if who == "sudare" else f"{row['cpu_s'] / max(own['cpu_s'], 1e-9):.1f}"
                label = f"{name} ({part['accuracy']:.3f}), {part['epsilon'] * 255:.0f}/255"
                cells = [label, kind, who, f"{theirs.mean():.3f}", *beside]
                text.append("| " + " | ".join([*cells, f"{row['cpu_s']:.1f} s", ratio]) + " |")
    for name, part in parts.items():
        about = part["machine"]
        text.append(
            f"\n{name}: {about['processor']}, {about['cores']} cores; commit {part['commit']}; "
            f"{part['date']}; torch {part['versions']['torch']}."
        )
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    main()
