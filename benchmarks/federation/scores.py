"""Scores of records under DP-SGD: what stays of them, what they find, what selecting by them does.

    python benchmarks/federation/scores.py digits 0      # one data set, one seed: a part
    python benchmarks/federation/scores.py all           # every part not there yet
    python benchmarks/federation/scores.py render        # SCORES.md from the parts

One owner with all records (central DP-SGD), a tanh net of one hidden layer, sampling rate 0.1, 300
steps, clipping norm 1, ten checkpoints. Without noise gradients are not clipped either. Selections
are made within classes and trained at the same rate and steps, so at the same epsilon; a random
selection of the same size stands beside each. ``--preset smoke`` takes 30 steps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from sudare.audits.environment import made_by
from sudare.core.progress import Silent
from sudare.core.seeds import generator, integer_seed
from sudare.data.sources import load_source
from sudare.metrics import mean_over_builds
from sudare.nets import NetConfig, build
from sudare.nets.normalisation import normalise
from sudare.nets.predict import predict
from sudare.training.dpsgd import poisson_rows, train_private
from sudare.training.loop import TrainingData
from sudare.training.observers import Unobserved
from sudare.training.recipe import DpConfig, Recipe
from sudare.valuation.scores import (
    StreamingVog,
    class_normalised,
    gradient_norms,
    input_gradients,
    plis,
)

HERE = Path(__file__).parent
PARTS = HERE / "parts"
DATA, SEEDS = ("digits", "pneumonia", "fashion-mnist"), (0, 1, 2, 3, 4)
RECORDS, TESTED, CHECKPOINTS, RATE = 1200, 600, 10, 0.1
NET = NetConfig(name="mlp", width=64, depth=1, activation="tanh")
NOISES, WRONG = (0, 1, 2, 4, 8), 0.1
SCORES = ("VoG, logit", "VoG, loss", "PLIS, last", "PLIS, mean", "gradient norm", "loss")
BY = {"hard by PLIS": "PLIS, mean", "hard by VoG": "VoG, logit", "easy by PLIS": "PLIS, mean"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=[*DATA, "all", "render"])
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--preset", choices=["", "smoke"], default="")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what != "render":
        every = options.what == "all"
        for data, seed in product(DATA, SEEDS) if every else [(options.what, options.seed)]:
            target = PARTS / f"scores-{data}-{seed}.json"
            if every and target.exists():
                continue
            part = measured(data, seed, steps=30 if options.preset else 300)
            if options.preset:
                print(json.dumps(part, indent=1))
                return
            target.write_text(json.dumps(part, indent=1) + "\n")
    (HERE / "SCORES.md").write_text(render())


class Snapshots(Unobserved):
    """The weights at evenly spaced steps."""

    def __init__(self, steps: int) -> None:
        self._at, self._every = 0, max(1, steps // CHECKPOINTS)
        self.kept: list[list[torch.Tensor]] = []

    def released(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        self._at += 1
        if self._at % self._every == 0:
            self.kept.append([value.detach().clone() for value in parameters])


def trained(
    images: np.ndarray, labels: np.ndarray, classes: int, noise: int, *, seed: int, steps: int
) -> tuple[torch.nn.Module, list[list[torch.Tensor]]]:
    """A net and its weights at the checkpoints."""
    net = build(NET, image_shape=images.shape[1:], n_classes=classes, seed=seed)
    data, watcher = TrainingData.of(images, labels, device="cpu"), Snapshots(steps)
    recipe = Recipe(
        steps=steps, batch_size=round(RATE * len(images)), lr=0.5, momentum=0.0, weight_decay=0.0,
        schedule="constant", warmup=0.0, augmentation=(),
    )  # fmt: skip
    if noise:
        train_private(
            net, data, recipe, DpConfig(noise_multiplier=float(noise)), seed=seed,
            progress=Silent(), observer=watcher, rate=RATE,
        )  # fmt: skip
        return net, watcher.kept
    rng = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(steps):
        rows = poisson_rows(len(images), RATE, rng)
        loss = torch.nn.functional.cross_entropy(
            net(normalise(data.images[rows])), data.targets[rows]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        watcher.released(list(net.parameters()))
    return net, watcher.kept


def scored(
    net: torch.nn.Module, kept: list[list[torch.Tensor]], images: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Every score of every record."""
    pixels, own = normalise(torch.from_numpy(images)), torch.from_numpy(labels)
    logit, loss, susceptible = StreamingVog(), StreamingVog(), []
    for weights in kept:
        with torch.no_grad():
            for parameter, value in zip(net.parameters(), weights, strict=True):
                parameter.copy_(value)
        logit.add(input_gradients(net, pixels, own))
        loss.add(input_gradients(net, pixels, own, target="loss"))
        susceptible.append(plis(net, pixels, own).flatten(1).norm(dim=1).numpy())
    with torch.no_grad():
        last = torch.nn.functional.cross_entropy(net(pixels), own, reduction="none").numpy()
    found = (
        logit.scores(),
        loss.scores(),
        susceptible[-1],
        np.mean(susceptible, axis=0),
        gradient_norms(net, pixels, own),
        last,
    )
    return dict(zip(SCORES, found, strict=True))


def measured(data: str, seed: int, *, steps: int) -> dict:
    start, source = time.monotonic(), load_source(data)
    order = generator(seed, "records").permutation(len(source.train))
    own = source.train[order[:RECORDS]]
    rest = source.test if source.test is not None else source.train[order[RECORDS:]]
    test = rest[generator(0, "tested").permutation(len(rest))[:TESTED]]
    images, clean, classes = own.images, own.classes, own.n_classes
    rng = generator(seed, "wrong labels")
    wrong = rng.random(RECORDS) < WRONG
    noisy = np.where(wrong, (clean + rng.integers(1, classes, RECORDS)) % classes, clean)
    truths = {"clean": clean, "wrong labels": noisy}

    def accuracy(rows: np.ndarray, truth: str, noise: int, *name: str) -> float:
        net, _ = trained(
            images[rows], truths[truth][rows], classes, noise,
            seed=integer_seed(seed, truth, noise, *name), steps=steps,
        )  # fmt: skip
        return float(
            (predict(net, test.images, device="cpu").argmax(axis=1) == test.classes).mean()
        )

    full, scores = {}, {}
    for truth, noise in [*product(["clean"], NOISES), *product(["wrong labels"], (0, 2, 8))]:
        net, kept = trained(
            images, truths[truth], classes, noise, seed=integer_seed(seed, truth, noise),
            steps=steps,
        )  # fmt: skip
        answers = predict(net, test.images, device="cpu").argmax(axis=1)
        full[truth, noise] = float((answers == test.classes).mean())
        scores[truth, noise] = scored(net, kept, images, truths[truth])
    selected = {}
    for truth, noise in product(truths, (0, 2)):
        half = kept_within(generator(seed, "half").random(RECORDS), truths[truth], 0.5, hard=True)
        rows = {"random half": half}
        for name, score in BY.items():
            values = class_normalised(scores[truth, noise][score], truths[truth])
            rows[name] = kept_within(values, truths[truth], 0.5, hard=name.startswith("hard"))
        values = class_normalised(scores[truth, noise]["loss"], truths[truth])
        rows["without the highest fifth by loss"] = kept_within(
            values, truths[truth], 0.8, hard=False
        )
        for name, chosen in rows.items():
            selected[f"{truth}, {noise}, {name}"] = accuracy(chosen, truth, noise, name)
    return {
        "full": {f"{truth}, {noise}": value for (truth, noise), value in full.items()},
        "correlation": {
            f"{noise}, {name}": float(
                stats.spearmanr(scores["clean", 0][name], scores["clean", noise][name]).statistic
            )
            for noise, name in product(NOISES[1:], SCORES)
        },
        "finds wrong labels": {
            f"{noise}, {name}": float(roc_auc_score(wrong, scores["wrong labels", noise][name]))
            for noise, name in product((0, 2, 8), SCORES)
        },
        "selected": selected,
        **made_by(f"python benchmarks/federation/scores.py {data} {seed}", HERE),
        "wall_s": round(time.monotonic() - start),
    }


def kept_within(values: np.ndarray, labels: np.ndarray, share: float, *, hard: bool) -> np.ndarray:
    """Rows of a share of each class, those of the highest or of the lowest values."""
    rows = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        ranked = own[np.argsort(-values[own] if hard else values[own], kind="stable")]
        rows.append(ranked[: max(1, round(share * len(own)))])
    return np.sort(np.concatenate(rows))


def render() -> str:
    text = [
        "# Scores of records under DP-SGD\n",
        f"{RECORDS:,} records at one owner, a tanh net of {NET.width} hidden units, sampling rate "
        f"{RATE}, 300 steps, clipping norm 1, {CHECKPOINTS} checkpoints; sigma 0 is plain SGD. "
        "Means over seeds; selections are made within classes and trained at the same rate and "
        "steps.\n",
        "    python benchmarks/federation/scores.py all\n",
    ]
    for data in DATA:
        parts = [
            json.loads(path.read_text()) for path in sorted(PARTS.glob(f"scores-{data}-*.json"))
        ]
        if parts:
            text += page(data, parts)
    return "\n".join(text) + "\n"


def page(data: str, parts: list[dict]) -> list[str]:
    def mean(group: str, name: str) -> str:
        return f"{np.mean([part[group][name] for part in parts]):.2f}"

    text = [f"## {data}, seeds: {len(parts)}\n"]
    text.append("| score | " + " | ".join(f"rank correlation, sigma {n}" for n in NOISES[1:])
                + " | finds wrong labels (AUC), sigma 0 | 2 | 8 |")  # fmt: skip
    text.append("| --- |" + " ---: |" * 7)
    for name in SCORES:
        cells = [mean("correlation", f"{n}, {name}") for n in NOISES[1:]]
        cells += [mean("finds wrong labels", f"{n}, {name}") for n in (0, 2, 8)]
        text.append(f"| {name} | " + " | ".join(cells) + " |")
    names = ["random half", *BY, "without the highest fifth by loss"]
    text += ["", "| accuracy | all | " + " | ".join(names) + " |", "| --- |" + " ---: |" * 6]
    for truth, noise in product(("clean", "wrong labels"), (0, 2)):
        cells = [mean("full", f"{truth}, {noise}")]
        cells += [mean("selected", f"{truth}, {noise}, {name}") for name in names]
        text.append(f"| {truth}, sigma {noise} | " + " | ".join(cells) + " |")
    text += ["", "| ordering | difference (95 % over seeds) | |", "| --- | ---: | --- |"]
    for claim, more, less in orderings():
        apart = np.array([part[more[0]][more[1]] - part[less[0]][less[1]] for part in parts])
        text.append(f"| {claim} | {judged(apart)} |")
    about = parts[0]["machine"]
    walls = ", ".join(f"{part['wall_s']} s" for part in parts)
    commits = ", ".join(dict.fromkeys(part["commit"] for part in parts))
    text.append(
        f"\n{about['processor']}, {about['cores']} cores, other work beside; commits {commits}; "
        f"wall {walls}; {parts[-1]['date']}.\n"
    )
    return text


Figure = tuple[str, str]


def orderings() -> list[tuple[str, Figure, Figure]]:
    """What should be larger than what."""
    chosen, full, found = "selected", "full", "finds wrong labels"
    return [
        *(
            (f"Accuracy falls from sigma {a} to {b}", (full, f"clean, {a}"), (full, f"clean, {b}"))
            for a, b in pairwise(NOISES)
        ),
        *(
            (
                f"Noise takes the ranking by {name} away (sigma 1 against 8)",
                ("correlation", f"1, {name}"),
                ("correlation", f"8, {name}"),
            )
            for name in ("VoG, logit", "PLIS, mean")
        ),
        (
            "PLIS over the training keeps its ranking better than at its end (sigma 4)",
            ("correlation", "4, PLIS, mean"),
            ("correlation", "4, PLIS, last"),
        ),
        (
            "PLIS keeps its ranking better than VoG of logits (sigma 4)",
            ("correlation", "4, PLIS, mean"),
            ("correlation", "4, VoG, logit"),
        ),
        (
            "The gradient's norm finds wrong labels better than PLIS (sigma 2)",
            (found, "2, gradient norm"),
            (found, "2, PLIS, mean"),
        ),
        (
            "Without noise the hard half by VoG teaches no less than a random half",
            (chosen, "clean, 0, hard by VoG"),
            (chosen, "clean, 0, random half"),
        ),
        (
            "Without noise a random half teaches more than the easy half by PLIS",
            (chosen, "clean, 0, random half"),
            (chosen, "clean, 0, easy by PLIS"),
        ),
        (
            "Wrong labels: leaving out the highest fifth by loss helps",
            (chosen, "wrong labels, 0, without the highest fifth by loss"),
            (full, "wrong labels, 0"),
        ),
        *(
            (
                f"With sigma 2 the half that is {name} teaches less than a random half",
                (chosen, "clean, 2, random half"),
                (chosen, f"clean, 2, {name}"),
            )
            for name in ("hard by PLIS", "hard by VoG")
        ),
        (
            "With sigma 2 all records teach more than a random half",
            (full, "clean, 2"),
            (chosen, "clean, 2, random half"),
        ),
    ]


def judged(apart: np.ndarray) -> str:
    found = mean_over_builds(apart)
    if found.low is None or found.high is None:
        return f"{found.value:+.2f} | one seed"
    said = "held" if found.low > 0 else "refuted" if found.high < 0 else "not resolved"
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f}) | {said}"


if __name__ == "__main__":
    main()
