"""Where the time of a small-net build goes on this processor, and what the layout gains.

    python benchmarks/membership/fleet.py          # about three minutes
    python benchmarks/membership/fleet.py --quick  # seconds; writes nothing

ConvNet-3 on 28 x 28 images, batch 64. A plain loop (DataLoader, contiguous weights, an optimiser
step in several kernels) and ours, each with all threads in one process and with one process a
core; arithmetic counted by torch, against what a matrix product reaches in the same layout.
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

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from sudare import nets
from sudare.audits.environment import made_by
from sudare.core.memory import keep_memory
from sudare.core.progress import Silent
from sudare.nets.predict import normalise
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


def flops_of_step(width: int) -> int:
    """Arithmetic of one step, forward and back, multiplications and additions."""
    net, (pixels, labels) = net_of(width), images()
    with FlopCounterMode(display=False) as counter:
        logits = net(normalise(torch.from_numpy(pixels[:BATCH])))
        batch_losses(logits, torch.from_numpy(labels[:BATCH]), 0.0).mean().backward()
    return int(counter.get_total_flops())


def plain(width: int, epochs: int) -> None:
    """What a tutorial writes."""
    net, (pixels, labels) = net_of(width), images()
    data = TensorDataset(normalise(torch.from_numpy(pixels)), torch.from_numpy(labels))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, foreach=False)
    for _ in range(epochs):
        for batch, target in DataLoader(data, batch_size=BATCH, shuffle=True):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(batch), target).backward()
            optimiser.step()


def ours(width: int, epochs: int) -> None:
    recipe = Recipe(epochs=epochs, batch_size=BATCH, lr=0.02, weight_decay=0.0)
    data = TrainingData.of(*images(), device="cpu")
    train(net_of(width), data, recipe, seed=0, progress=Silent())


def matmul(width: int, epochs: int) -> None:
    """As long as it takes; what counts is arithmetic in a second."""
    a = torch.randn(1024, 1024)
    for _ in range(20 * epochs):
        a @ a


def fresh(width: int, epochs: int) -> None:
    """Ours without what workers do first, so that its share shows."""
    ours(width, epochs)


WORK: dict[str, Callable[[int, int], None]] = {
    "plain": plain,
    "fresh": fresh,
    "ours": ours,
    "matmul": matmul,
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
        if work == "ours":
            keep_memory()
        WORK[work](width, 1)
        start = time.perf_counter()
        WORK[work](width, epochs)
        print(time.perf_counter() - start)
        return
    cores = os.cpu_count() or 1
    layouts = {"one process": (1, cores), "a process a core": (cores, 1)}
    rows = []
    for width in (16,) if options.quick else (16, 32):
        flops = flops_of_step(width) * (IMAGES // BATCH)
        for work in WORK:
            for layout, (processes, threads) in layouts.items():
                epochs = 1 if options.quick else 4
                rates = [
                    measured(work, width, epochs, processes=processes, threads=threads)
                    for _ in range(1 if options.quick else options.repeats)
                ]
                each = 20 * 2 * 1024**3 if work == "matmul" else flops
                rate = float(np.median(rates))
                row = {"width": width, "work": work, "layout": layout, "gflops": rate * each / 1e9}
                rows.append({**row, "images_s": rate * IMAGES if work != "matmul" else None})
                print(rows[-1], flush=True)
    result = {
        "rows": rows,
        "stages": {str(width): stages(width) for width in (16, 32)},
        **made_by("python benchmarks/membership/fleet.py", HERE),
    }
    print(result["stages"])
    if not options.quick:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
