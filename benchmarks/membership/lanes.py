"""Builds a minute on one GPU: several nets at once, beside a plain loop.

    python benchmarks/membership/lanes.py          # about four minutes
    python benchmarks/membership/lanes.py --quick  # seconds; writes nothing

ConvNet-3 and ResNet-9 on 5,000 images of Fashion-MNIST, 5 epochs of batch 64. The plain loop is
what a tutorial writes, its images already on the GPU; ours is the loop that makes builds, with all
it does besides (each image's loss in each epoch, deterministic kernels), for 1, 4 and 16 nets at
once, in float32 or bf16, as torch runs the net or as generated code. Accuracies on 5,000 other
images stand beside, and whether a net of sixteen is the same to the last bit as alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sudare import nets
from sudare.audits.environment import made_by
from sudare.core.progress import Silent
from sudare.data.sources import load_source
from sudare.fleets.builds import make_deterministic
from sudare.nets.normalisation import normalise
from sudare.nets.predict import predict
from sudare.training.loop import Learner, TrainingData, train_lanes
from sudare.training.recipe import Recipe

HERE = Path(__file__).parent
RESULTS = HERE / "lanes.json"
IMAGES, BATCH = 5000, 64
NETS = (("convnet", 16), ("convnet", 128), ("resnet9", 32))
Train = Callable[[int], list[torch.nn.Module]]
OURS = (
    (1, "float32", "off"),
    (4, "float32", "off"),
    (16, "float32", "off"),
    (16, "float32", "on"),
    (16, "bf16", "off"),
    (16, "bf16", "on"),
)


def net_of(name: str, width: int, seed: int) -> torch.nn.Module:
    config = nets.NetConfig(name=name, width=width)
    return nets.build(config, image_shape=(1, 28, 28), n_classes=10, seed=seed).cuda()


def plain(name: str, width: int, data: TrainingData, epochs: int) -> list[torch.nn.Module]:
    """What a tutorial writes."""
    net = net_of(name, width, 0)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    for _ in range(epochs):
        for rows in torch.randperm(len(data), device="cuda").split(BATCH):
            optimiser.zero_grad()
            view, target = normalise(data.images[rows]), data.targets[rows]
            torch.nn.functional.cross_entropy(net(view), target).backward()
            optimiser.step()
    return [net]


def ours(
    name: str,
    width: int,
    data: TrainingData,
    epochs: int,
    *,
    lanes: int,
    precision: str,
    compiled: str,
) -> list[torch.nn.Module]:
    """The loop that makes builds."""
    recipe = Recipe.model_validate(
        {
            "epochs": epochs,
            "batch_size": BATCH,
            "lr": 0.02,
            "schedule": "constant",
            "warmup": 0.0,
            "precision": precision,
            "compile": compiled,
        }
    )
    learners = [
        Learner(net=net_of(name, width, seed), data=data, seed=seed) for seed in range(lanes)
    ]
    train_lanes(learners, recipe, progress=Silent())
    return [learner.net for learner in learners]


def timed(work: Train, epochs: int) -> tuple[float, list[torch.nn.Module]]:
    torch.cuda.synchronize()
    start = time.perf_counter()
    trained = work(epochs)
    torch.cuda.synchronize()
    return time.perf_counter() - start, trained


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this needs a GPU; benchmarks/membership/fleet.py measures processors")
    epochs, repeats = (1, 1) if options.quick else (5, options.repeats)
    source = load_source("fashion-mnist").train
    chosen = np.random.default_rng(0).permutation(len(source))[: 2 * IMAGES]
    learned, others = source[chosen[:IMAGES]], source[chosen[IMAGES:]]
    data = TrainingData.of(learned.images, learned.classes, device="cuda")

    def accuracy(trained: list[torch.nn.Module]) -> float:
        answers = [predict(net, others.images, device="cuda").argmax(1) for net in trained[:4]]
        return float(np.mean([(answer == others.classes).mean() for answer in answers]))

    rows, equal = [], {}
    for name, width in NETS[: 1 if options.quick else None]:
        # The plain loop is timed as a tutorial runs it, without asking for determinism.
        torch.use_deterministic_algorithms(False)
        ways: list[tuple[dict[str, object], Train]] = [
            (
                {"way": "plain", "lanes": 1, "precision": "float32", "compiled": "off"},
                partial(plain, name, width, data),
            )
        ]
        for lanes, precision, compiled in OURS:
            how = {"lanes": lanes, "precision": precision, "compiled": compiled}
            ways.append(({"way": "ours", **how}, partial(ours, name, width, data, **how)))
        kept: dict[int, list[torch.nn.Module]] = {}
        for said, work in ways:
            if said["way"] == "ours":
                make_deterministic("cuda")
            first, _ = timed(work, 1)
            runs = [timed(work, epochs) for _ in range(repeats)]
            seconds = float(np.median([run[0] for run in runs]))
            trained = runs[-1][1]
            exact = said["precision"] == "float32" and said["compiled"] == "off"
            if said["way"] == "ours" and exact:
                kept[int(str(said["lanes"]))] = trained
            rows.append(
                {
                    "net": name,
                    "width": width,
                    **said,
                    "builds_a_minute": 60 * len(trained) / seconds,
                    "first_epoch_s": first,
                    "accuracy": accuracy(trained),
                }
            )
            print(rows[-1], flush=True)
        equal[f"{name} {width}"] = all(
            torch.equal(a, b)
            for lanes in kept.values()
            for a, b in zip(lanes[0].parameters(), kept[1][0].parameters(), strict=True)
        )
        print(equal, flush=True)
        if not options.quick:
            result = {
                "rows": rows,
                "equal": equal,
                "gpu": torch.cuda.get_device_name(),
                **made_by("python benchmarks/membership/lanes.py", HERE),
            }
            RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
