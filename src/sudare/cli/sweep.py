"""``sudare sweep``: one setting at several strengths and data sizes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sudare.cli.options import Whole

app = App(name="sweep", help="Try a setting at several strengths and data sizes.")


@app.command
def smoothing(
    *,
    alpha: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-0.05,0,0.1",
    per_class: str = "all",
    seeds: Whole = 1,
    recommend: bool = False,
    stages: bool = False,
    data: str | None = None,
    preset: Annotated[str, Parameter(name=["--preset", "--config", "-c"])] = "inversion",
    override: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"])] = (),
    out: Path | None = None,
    workers: Whole | None = None,
    cache: Path | None = None,
) -> int:
    """Does label smoothing help or hurt, at your data size?

    Each strength is trained at each data size, inverted (what do its classes look like?) and asked
    for members; sizes are nested. Every size and seed is a run with a report of its own; the table
    is `sweep.md` in the output folder, and is written after each of them.

    Examples:
    `sudare sweep smoothing --alpha -0.05,0,0.1 --per-class 10,20`

    `sudare sweep smoothing --alpha -0.2,0,0.2 --per-class 20 --stages`

    `sudare sweep smoothing --data fashion-mnist --alpha -0.1,0,0.1 --per-class 20,50,all --seeds 3`

    Args:
        alpha: Strengths, with commas; 0 is plain training, below 0 sharpens.
        per_class: Images of each class in a build, with commas; all for as many as there are.
        seeds: Repetitions, split included; intervals are over these.
        recommend: Print which strengths no other beats, and what each gives up.
        stages: Also attack with the smoothed net in one stage and the plain one in the others:
            which stage of the attack does smoothing hit?
        data: A source of `sudare data list`, a folder of images or an .npz file.
        preset: Net, recipe, fleet and checks: a preset or a TOML file.
        override: A value by dotted name, such as fleet.builds=8.
        out: Folder; runs/sweep-smoothing by default.
        workers: Processes; one per core by default.
        cache: Where builds are kept; $SUDARE_CACHE or ~/.cache/sudare.

    Returns:
        0, or 2 after an error.
    """
    from sudare.audits.config import apply_overrides, load_config, read_toml
    from sudare.audits.sweep import pareto, sweep_smoothing
    from sudare.cli.options import numbers, with_options
    from sudare.core.files import default_cache
    from sudare.core.progress import auto
    from sudare.fleets.cache import Cache
    from sudare.report import LANGUAGES, as_it_goes, write_report

    options = {"data.source": data, "fleet.workers": workers}
    values = with_options(read_toml(preset), options)
    config = load_config(apply_overrides(values, override))
    progress = auto()
    sizes = [
        0 if text.strip() == "all" else int(numbers(text, where="--per-class")[0])
        for text in per_class.split(",")
    ]
    folder = out or Path("runs") / "sweep-smoothing"
    found = sweep_smoothing(
        config,
        folder,
        alphas=numbers(alpha, where="--alpha"),
        per_class=sizes,
        seeds=seeds,
        stages=stages,
        cache=Cache(cache or default_cache()),
        progress=progress,
        command=shlex.join(["sudare", *sys.argv[1:]]),
        after_stage=as_it_goes(),
    )
    # While it ran pages were written once in a while; each says now that it is complete.
    with progress.stage("writing the reports", 1):
        for run in sorted(folder.glob("*/run.json")):
            write_report(run.parent, languages=LANGUAGES)
    progress.say(found.table())
    if recommend:
        for size in sizes:
            rows = [row for row in found.rows if row.per_class == size]
            best = pareto(rows)
            progress.say(f"{size or 'all'} images of each class, beaten by none:")
            top = max(row.mean("accuracy") for row in rows)
            least = min(row.mean("top1") for row in rows)
            for row in best:
                progress.say(
                    f"  alpha {row.alpha:g}: accuracy {row.text('accuracy')}, "
                    f"{row.mean('accuracy') - top:+.3f} from the best; Acc@1 {row.text('top1')}, "
                    f"{row.mean('top1') - least:+.3f} from the least; RMIA AUC {row.text('rmia')}"
                )
        few = "one seed" if seeds == 1 else f"{seeds} seeds"
        progress.say(
            f"Compared by the means of {few}: rows that lie close may change places"
            + ("; --seeds 3 gives intervals." if seeds == 1 else ".")
        )
    progress.say(f"Table: {folder / 'sweep.md'}")
    return 0
