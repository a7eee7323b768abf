"""Time and memory of the search for copies: 1,000 released images against 50,000 private ones.

    python benchmarks/copies/run.py     # results.json and README.md; one core

Images of 32 x 32 pixels in three channels, drawn smooth (an 8 x 8 grid of noise, enlarged), so that
thumbnails are as alike as those of pictures are. A hundred released images are private ones that
were flipped, moved by a pixel, dimmed and noised; the rest are nobody's.
"""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import time
from pathlib import Path

import numpy as np
import torch

from sudare.attacks.near_copies import altered, matches, search

HERE = Path(__file__).parent
ITEMS, IMAGES, SIDE, COPIED = 1000, 50_000, 32, 100


def drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    made = np.empty((count, 3, SIDE, SIDE), dtype=np.uint8)
    for at in range(0, count, 5000):
        part = min(5000, count - at)
        grid = torch.from_numpy(rng.random((part, 3, 8, 8), dtype=np.float32))
        whole = torch.nn.functional.interpolate(grid, size=SIDE, mode="bicubic").clamp(0, 1)
        made[at : at + part] = (255 * whole).byte().numpy()
    return made


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images = drawn(rng, IMAGES)
    members = rng.permutation(IMAGES) < IMAGES // 2
    source = rng.choice(np.flatnonzero(members), COPIED, replace=False)
    items = np.concatenate([altered(images[source], rng), drawn(rng, ITEMS - COPIED)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, processor = time.perf_counter(), time.process_time()
    found = search(items, images)
    wall, cpu = time.perf_counter() - start, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    hits = np.zeros(ITEMS, dtype=bool)
    phantoms = np.zeros(ITEMS, dtype=bool)
    for one in found.values():
        copied, others, _ = matches(one, members)
        hits |= copied
        phantoms |= others
    command = ["git", "rev-parse", "--short", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE)
    results = {
        "command": "python benchmarks/copies/run.py",
        "commit": head.stdout.strip(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "items": ITEMS,
        "images": IMAGES,
        "side_px": SIDE,
        "seconds": round(wall, 1),
        "processor_seconds": round(cpu, 1),
        "peak_mb": round(peak),
        "peak_before_mb": round(before),
        "copies_found": int(hits[:COPIED].sum()),
        "copies_made": COPIED,
        "others_taken_for_copies": int(hits[COPIED:].sum()),
        "phantoms": int(phantoms[COPIED:].sum()),
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "README.md").write_text(
        "# The search for copies\n\n"
        f"`{results['command']}`, commit {results['commit']}, one core, torch "
        f"{results['torch']}: {ITEMS:,} released images against {IMAGES:,} private ones of "
        f"{SIDE} pixels in three channels, in pixels under flips and shifts and in features.\n\n"
        "| | |\n| --- | ---: |\n"
        f"| seconds | {results['seconds']} |\n"
        f"| processor seconds | {results['processor_seconds']} |\n"
        f"| peak memory of the process | {results['peak_mb']:,} MB "
        f"({results['peak_before_mb']:,} MB before the search) |\n"
        f"| altered copies found | {results['copies_found']} of {COPIED} |\n"
        f"| others taken for copies | {results['others_taken_for_copies']} of {ITEMS - COPIED} |\n"
        f"| phantoms | {results['phantoms']} |\n\n"
        "The goal is under a minute on one core and 1 GB.\n"
    )


if __name__ == "__main__":
    main()
