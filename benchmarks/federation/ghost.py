"""Scores of records in units of one forward and backward pass, against what others do.

    OMP_NUM_THREADS=1 python benchmarks/federation/ghost.py

ConvNet-3 of width 16 on grey images of 28 pixels, one thread, processor seconds; each repetition
takes every contestant in turn, the median counts. ``--preset smoke`` takes one repetition.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from sudare.audits.environment import made_by
from sudare.nets import NetConfig, build
from sudare.valuation.scores import StreamingVog, input_gradients, plis, squared_norms

HERE = Path(__file__).parent
IMAGES, REPETITIONS, BATCH = 256, 7, 64


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", choices=["", "smoke"], default="")
    options = parser.parse_args()
    torch.set_num_threads(1)
    times = measured(1 if options.preset else REPETITIONS)
    result = {
        "times_s": times,
        **made_by("OMP_NUM_THREADS=1 python benchmarks/federation/ghost.py", HERE),
    }
    if options.preset:
        print(json.dumps(result, indent=1))
        return
    (HERE / "ghost.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "GHOST.md").write_text(render(result))


def fresh() -> torch.nn.Module:
    return build(NetConfig(width=16), image_shape=(1, 28, 28), n_classes=10, seed=0)


def measured(repetitions: int) -> dict[str, float]:
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(IMAGES, 1, 28, 28, generator=rng)
    labels = torch.arange(IMAGES) % 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        contestants = scores_of(images, labels) | steps_of(images, labels)
        found: dict[str, list[float]] = {name: [] for name in contestants}
        for run in contestants.values():
            run()
        for _ in range(repetitions):
            for name, run in contestants.items():
                start = time.process_time()
                run()
                found[name].append(time.process_time() - start)
    return {name: float(np.median(times)) for name, times in found.items()}


def scores_of(images: torch.Tensor, labels: torch.Tensor) -> dict[str, Callable[[], object]]:
    net = fresh()
    weights = {name: value.detach() for name, value in net.named_parameters()}
    private = GradSampleModule(fresh(), loss_reduction="sum")

    def square(image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        def loss(values: dict) -> torch.Tensor:
            return cross_entropy(functional_call(net, values, (image[None],)), label[None])

        return sum((part**2).sum() for part in grad(loss)(weights).values())

    def both() -> None:
        net.zero_grad()
        cross_entropy(net(images), labels).backward()

    def per_sample() -> None:
        private.zero_grad()
        cross_entropy(private(images), labels, reduction="sum").backward()
        private.zero_grad()

    return {
        "forward and backward": both,
        "VoG, one checkpoint": lambda: StreamingVog().add(input_gradients(net, images, labels)),
        "squared norms, ghost": lambda: squared_norms(net, images, labels),
        "squared norms, vmap": lambda: vmap(square)(images, labels),
        "per-sample gradients, Opacus": per_sample,
        "PLIS, ghost": lambda: plis(net, images, labels),
        "PLIS, vmap": lambda: vmap(grad(square))(images, labels),
    }


def steps_of(images: torch.Tensor, labels: torch.Tensor) -> dict[str, Callable[[], object]]:
    plain, private = fresh(), GradSampleModule(fresh(), loss_reduction="sum")
    usual = torch.optim.SGD(plain.parameters(), lr=0.1)
    noisy = DPOptimizer(
        torch.optim.SGD(private.parameters(), lr=0.1),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        expected_batch_size=BATCH,
    )

    def steps(net: torch.nn.Module, optimiser: torch.optim.Optimizer, reduction: str) -> None:
        for rows in torch.arange(IMAGES).split(BATCH):
            optimiser.zero_grad()
            cross_entropy(net(images[rows]), labels[rows], reduction=reduction).backward()
            optimiser.step()

    return {
        "plain SGD, four steps": lambda: steps(plain, usual, "mean"),
        "DP-SGD, four steps": lambda: steps(private, noisy, "sum"),
    }


def render(result: dict) -> str:
    times = result["times_s"]
    unit = times["forward and backward"]
    rows = [
        f"| {name} | {1000 * seconds:.0f} ms | {seconds / unit:.2f} |"
        for name, seconds in times.items()
    ]
    steps = times["DP-SGD, four steps"] / times["plain SGD, four steps"]
    norms = times["squared norms, vmap"] / times["squared norms, ghost"]
    scores = times["PLIS, vmap"] / times["PLIS, ghost"]
    about = result["machine"]
    return "\n".join(
        [
            "# Scores of records: what they cost\n",
            f"ConvNet-3 of width 16, {IMAGES} grey images of 28 pixels, one thread, median of "
            f"{REPETITIONS} repetitions, processor time; the unit is one forward and backward "
            "pass over all images.\n",
            f"    {result['command']}\n",
            "| | time | in units |",
            "| --- | ---: | ---: |",
            *rows,
            "",
            f"Ghost norms are {norms:.1f} times as fast as vmap, ghost PLIS {scores:.1f} times. A "
            f"DP-SGD step (Opacus hooks, batch {BATCH}) takes {steps:.1f} plain ones. Goals were 2 "
            "units for PLIS, 1.2 for VoG and 1.5 plain steps. PLIS takes seven convolutions a "
            "layer (forward, back to the activations, the record's gradient; again through each of "
            "the last two by both of its factors and back to the pixels) where forward and "
            "backward take three: below 7/3 units it needs another way to take a second "
            "derivative.\n",
            f"{about['processor']}, {about['cores']} cores; commit "
            f"{result['commit']}; {result['date']}.\n",
        ]
    )


if __name__ == "__main__":
    main()
