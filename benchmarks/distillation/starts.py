"""What a start costs in accuracy and gives in copies: noise, public images, private ones.

    python benchmarks/distillation/starts.py all         # every part not there yet, then the page
    python benchmarks/distillation/starts.py pneumonia   # one collection
    python benchmarks/distillation/starts.py render      # STARTS.md from the parts

A part is one method, start and seed: a set learned from a random half of 1,200 images with the
budgets of the demo, its accuracy on the test set by a net trained on it, and how many of its images
are near copies of a private one, beside phantoms (matches with the other half).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from sudare.attacks.near_copies import matches, search
from sudare.core.progress import Silent
from sudare.core.seeds import integer_seed
from sudare.data.plan import draw_plan
from sudare.data.sources import load_source
from sudare.data.splits import SplitSizes, make_split
from sudare.metrics import balanced_accuracy
from sudare.nets.predict import predict
from sudare.recipients.config import RecipientConfig
from sudare.recipients.train import train_recipients
from sudare.routes import make_route, parse_route
from sudare.routes.context import BuildContext

HERE = Path(__file__).parent
PARTS = HERE / "starts"
COLLECTIONS, STARTS, SEEDS = ("pneumonia", "fashion-mnist"), ("noise", "public", "real"), (0, 1, 2)
METHODS = {
    "dm": {"iterations": 300, "batch_real": 64},
    "dsa": {"iterations": 10, "outer": 10, "inner": 5, "batch_real": 64, "lr": 1.0},
    "mtt": {
        "iterations": 30,
        "experts": 2,
        "expert_epochs": 6,
        "latest_start": 3,
        "inner_steps": 10,
        "lr": 100.0,
    },
    "idc": {"iterations": 3, "inner": 15, "net_images": 256, "lr": 0.05},
}
NET = {"name": "convnet", "width": 16}
RECIPIENTS = {"net": NET, "recipe": {"steps": 300, "batch_size": 20, "lr": 0.02}}


def part(collection: str, method: str, start: str, seed: int) -> dict[str, float]:
    torch.set_num_threads(1)
    source = load_source(collection)
    sizes = SplitSizes(pool=1200, public=600, population=0, test=0)
    split = make_split(source.train, source.test, sizes=sizes, seed=integer_seed(seed, "split"))
    plan = draw_plan(split.pool.unit, split.pool.classes, builds=4, seed=seed)
    members = plan.membership[0]
    config = parse_route(
        {
            "kind": "distillation",
            "init": start,
            "images_per_class": 10,
            "net": NET,
            "method": {"name": method, **METHODS[method]},
        }
    )
    context = BuildContext.of(split.public, seed=seed)
    built = make_route(config).build(split.pool[members], context)
    (release,) = built.releases.values()
    nets = train_recipients(
        release,
        release.training_set(),
        RecipientConfig.model_validate(RECIPIENTS),
        seed=seed,
        device="cpu",
        progress=Silent(),
    )
    test = split.test[:1000]
    accuracy = np.mean(
        [balanced_accuracy(predict(net, test.images, device="cpu"), test.classes) for net in nets]
    )
    found = search(release.training_set().images, split.pool.images)
    told = [matches(each, members) for each in found.values()]
    return {
        "accuracy": float(accuracy),
        "copies": float((told[0][0] | told[1][0]).mean()),
        "phantoms": float((told[0][1] | told[1][1]).mean()),
        "build_s": built.record.cpu_s,
    }


def _cell(values: list[float]) -> str:
    """Mean with least and most; of one seed the value alone."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def render() -> None:
    lines = [
        "# Where learned images start",
        "",
        "Written by `python benchmarks/distillation/starts.py render` from the parts in `starts/`; "
        "budgets of seconds (those of the demo), 10 images a class, mean over seeds (least to "
        "most). *Copies*: learned images that are a private one but for what nobody would see; "
        "*phantoms*: the same rule against images that were not used.",
        "",
        "| collection | method | start | seeds | balanced accuracy | copies | phantoms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for collection in COLLECTIONS:
        for method in METHODS:
            for start in STARTS:
                files = sorted(PARTS.glob(f"{collection}-{method}-{start}-*.json"))
                rows = [json.loads(file.read_text()) for file in files]
                if rows:
                    cells = [
                        _cell([row[name] for row in rows])
                        for name in ("accuracy", "copies", "phantoms")
                    ]
                    cells = [collection, method, start, str(len(rows)), *cells]
                    lines.append(f"| {' | '.join(cells)} |")
    (HERE / "STARTS.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    asked = sys.argv[1] if len(sys.argv) > 1 else "all"
    PARTS.mkdir(exist_ok=True)
    wanted = COLLECTIONS if asked == "all" else (asked,) if asked in COLLECTIONS else ()
    for collection in wanted:
        for seed in SEEDS:
            for method in METHODS:
                for start in STARTS:
                    file = PARTS / f"{collection}-{method}-{start}-{seed}.json"
                    if not file.exists():
                        made = part(collection, method, start, seed)
                        file.write_text(json.dumps(made) + "\n")
                        print(file.stem, made, flush=True)
    render()


if __name__ == "__main__":
    main()
