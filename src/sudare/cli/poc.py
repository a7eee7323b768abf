"""``sudare poc``: a first answer about your own images, in minutes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sudare.cli.options import Whole
from sudare.cli.running import run_and_report


def poc(
    images: str = "pneumonia",
    *,
    routes: str | None = None,
    image_size: Whole | None = None,
    override: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"])] = (),
    out: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    workers: Whole | None = None,
    cache: Path | None = None,
    minutes: float = 15.0,
) -> int:
    """A first answer in minutes: is a classifier of these images useful, leaky, fragile?

    A small classifier is trained on eight random halves. Attackers train nothing: they look at the
    loss, the entropy and the margin of each image, and at what such an image's loss should be;
    every pixel is moved a little against the classifier. Each question is passed or failed where
    its whole interval is on one side of a line, and open (warn) otherwise. A report is written as
    by `sudare compare`.

    Examples:
    `sudare poc my-images/`

    `sudare poc my-images/ --image-size 16 --routes plain,dpsgd`

    Args:
        images: A source of `sudare data list`, a folder of images or an .npz file.
        routes: Ways to share, separated by commas; the plain classifier by default. Others have
            the budgets of the preset `demo`.
        image_size: Cut to the largest square and resize to this side in pixels.
        override: A value by dotted name, such as data.pool=2000.
        out: Run folder; runs/poc-NAME by default.
        force: Replace a run of another configuration in that folder.
        workers: Worker processes; one per core.
        cache: Where builds are kept; $SUDARE_CACHE or ~/.cache/sudare.
        minutes: Refuse, before the first build, what would take longer.

    Returns:
        0 all pass, 1 one fails, 2 error, 3 one is open.
    """
    from sudare.audits.config import apply_overrides, load_config, read_toml
    from sudare.audits.poc import ADDED, questions, status_of
    from sudare.cli.options import choose_routes, with_options
    from sudare.core.progress import auto
    from sudare.report.load import load_run

    options = {
        "data.source": images,
        "data.fit": True,
        "data.image_size": image_size,
        "fleet.workers": workers,
    }
    preset = read_toml("poc")
    kinds = {route["kind"] for route in preset["routes"]}
    # The published budgets of other routes are hours; those of the demo are a minute each.
    more = [route for route in read_toml("demo")["routes"] if route["kind"] not in kinds]
    every = {**preset, "routes": preset["routes"] + (more if routes else [])}
    values = with_options(choose_routes(every, routes), options)
    config = load_config(apply_overrides(values, override))
    folder = out or Path("runs") / f"poc-{Path(images).stem}"
    progress = auto()
    _, paths = run_and_report(
        config, folder, cache=cache, force=force, progress=progress, most_minutes=minutes
    )
    done = load_run(folder)
    answers = [
        answer
        for release in done.summary.releases
        for answer in questions(
            done.findings,
            release.name,
            n_classes=len(done.summary.data.class_names),
            thresholds=config.verdict,
        )
    ]
    progress.say("")
    for answer in answers:
        label = done.label(answer.release)
        progress.say(f"{answer.outcome.upper():4}  {label}: {answer.question}")
        progress.say(f"      {answer.told}; {answer.line}")
    for sentence in paths.verdict[:1]:
        progress.say(f"\n{sentence}")
    progress.say(f"\n{ADDED}\n")
    size = [] if image_size is None else ["--set", f"data.image_size={image_size}"]
    again = shlex.join(["sudare", "compare", "--data", images, "--preset", "demo", *size])
    progress.say(f"The full audit: {again}")
    progress.say(f"Internal report: {paths.internal}\nPublic report:   {paths.public}")
    return status_of(answers)
