"""How near the training of small nets comes to what the processor can do.

    python benchmarks/membership/fleet.py          # about five minutes
    python benchmarks/membership/fleet.py --quick  # seconds; writes nothing

ConvNet-3 on 28 x 28 images, batch 64, float32: a plain loop (DataLoader, an optimiser step in
several kernels), ours as torch runs it and ours as generated code, each with all threads in one
process and with one process a core. The ceiling is the net's convolutions alone, forward and
backward at the sizes they have in it, in the same layout: nothing that trains this net through
them can be faster. What a process does once (imports, generating or loading code) is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from sudare import nets
from sudare.audits.environment import made_by
from sudare.core.memory import keep_memory
from sudare.core.progress import Silent
from sudare.nets.convnet import MeanPool2
from sudare.nets.normalisation import normalise
from sudare.training.loop import TrainingData, batch_losses, train
from sudare.training.recipe import Recipe

HERE = Path(__file__).parent
RESULTS = HERE / "fleet.json"
IMAGES, BATCH = 2048, 64


def net_of(width: int) -> torch.nn.Module:
    config = nets.NetConfig(name="convnet", width=width)
    return nets.build(config, image_shape=(1, 28, 28), n_classes=10, seed=0)


def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, size=(IMAGES, 1, 28, 28), dtype=np.uint8), rng.integers(
        10, size=IMAGES
    )


def plain(width: int, epochs: int) -> None:
    """What a tutorial writes, with torch's pooling."""
    net, (pixels, labels) = net_of(width), images()
    for name, layer in net.features.named_children():
        if isinstance(layer, MeanPool2):
            setattr(net.features, name, torch.nn.AvgPool2d(2))
    data = TensorDataset(normalise(torch.from_numpy(pixels)), torch.from_numpy(labels))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, foreach=False)
    for _ in range(epochs):
        for batch, target in DataLoader(data, batch_size=BATCH, shuffle=True):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(batch), target).backward()
            optimiser.step()


def eager(width: int, epochs: int) -> None:
    """Our loop, the net as torch runs it."""
    learn(width, epochs, compiled="off")


def ours(width: int, epochs: int) -> None:
    """Our loop, the net as generated code."""
    learn(width, epochs, compiled="on")


def learn(width: int, epochs: int, *, compiled: Literal["on", "off"]) -> None:
    recipe = Recipe(epochs=epochs, batch_size=BATCH, lr=0.02, weight_decay=0.0, compile=compiled)
    data = TrainingData.of(*images(), device="cpu")
    train(net_of(width), data, recipe, seed=0, progress=Silent())


def convolutions(width: int, epochs: int) -> None:
    """Each convolution of the net by itself; the first needs no gradient of its input."""
    net, (pixels, _) = net_of(width), images()
    entering: list[tuple[torch.nn.Conv2d, torch.Tensor]] = []
    layers = [layer for layer in net.modules() if isinstance(layer, torch.nn.Conv2d)]
    for layer in layers:
        layer.register_forward_pre_hook(lambda of, given: entering.append((of, given[0].detach())))
    net(normalise(torch.from_numpy(pixels[:BATCH])))
    for layer in layers:
        layer._forward_pre_hooks.clear()
    for index, (_, given) in enumerate(entering):
        given.requires_grad_(index > 0)
    back = [torch.randn_like(layer(given)) for layer, given in entering]
    for _ in range(epochs * (IMAGES // BATCH)):
        for (layer, given), gradient in zip(entering, back, strict=True):
            given.grad = layer.weight.grad = layer.bias.grad = None
            layer(given).backward(gradient)


WORK: dict[str, Callable[[int, int], None]] = {
    "plain": plain,
    "eager": eager,
    "ours": ours,
    "convolutions": convolutions,
}


def stages(width: int) -> dict[str, float]:
    """Share of a step's time in each of its parts, one thread."""
    torch.set_num_threads(1)
    net, (pixels, labels) = net_of(width), images()
    data = TrainingData.of(pixels, labels, device="cpu")
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, fused=True)
    spent = dict.fromkeys(("view", "forward", "backward", "optimiser", "trace"), 0.0)
    trace = torch.zeros(IMAGES)
    for step in range(60):
        rows = torch.randint(IMAGES, (BATCH,))
        marks = [time.perf_counter()]
        view, target = normalise(data.images[rows]), data.targets[rows]
        marks.append(time.perf_counter())
        losses = batch_losses(net(view), target, 0.0)
        marks.append(time.perf_counter())
        optimiser.zero_grad(set_to_none=True)
        losses.mean().backward()
        marks.append(time.perf_counter())
        optimiser.step()
        marks.append(time.perf_counter())
        trace[rows] = losses.detach()
        marks.append(time.perf_counter())
        if step >= 10:
            for name, before, after in zip(spent, marks[:-1], marks[1:], strict=True):
                spent[name] += after - before
    whole = sum(spent.values())
    return {name: seconds / whole for name, seconds in spent.items()}


def child(work: str, width: int, epochs: int, threads: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--one", work, str(width), str(epochs), str(threads)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def measured(work: str, width: int, epochs: int, *, processes: int, threads: int) -> float:
    """Epochs a second of all processes together, imports and warm-up left out."""
    running = [child(work, width, epochs, threads) for _ in range(processes)]
    return sum(epochs / float(process.communicate()[0]) for process in running)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        work, width, epochs, threads = options.one[0], *map(int, options.one[1:])
        torch.set_num_threads(threads)
        if work != "plain":
            keep_memory()
        WORK[work](width, 1)
        start = time.perf_counter()
        WORK[work](width, epochs)
        print(time.perf_counter() - start)
        return
    cores = os.cpu_count() or 1
    layouts = {"one process": (1, cores), "a process a core": (cores, 1)}
    rows = []
    for width in (16,) if options.quick else (16, 64):
        for work in WORK:
            for layout, (processes, threads) in layouts.items():
                epochs = 1 if options.quick else 8
                rates = [
                    measured(work, width, epochs, processes=processes, threads=threads)
                    for _ in range(1 if options.quick else options.repeats)
                ]
                row = {"width": width, "work": work, "layout": layout}
                rows.append({**row, "images_s": float(np.median(rates)) * IMAGES})
                print(rows[-1], flush=True)
    result = {
        "rows": rows,
        "stages": {str(width): stages(width) for width in (16, 64)},
        **made_by("python benchmarks/membership/fleet.py", HERE),
    }
    print(result["stages"])
    if not options.quick:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
