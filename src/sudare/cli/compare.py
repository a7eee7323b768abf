"""``sudare compare``: private images in, releases built and attacked, one report out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sudare.cli.options import Whole
from sudare.cli.running import run_and_report


def compare(
    *,
    preset: Annotated[str, Parameter(name=["--preset", "--config", "-c"])] = "demo",
    data: str | None = None,
    routes: str | None = None,
    builds: Whole | None = None,
    seed: Whole | None = None,
    workers: Whole | None = None,
    executor: Literal["local", "ray"] | None = None,
    device: str | None = None,
    fail_on: tuple[str, ...] = (),
    canaries: tuple[str, ...] = (),
    prior: float | None = None,
    null: Annotated[bool, Parameter(negative="")] = False,
    override: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"])] = (),
    out: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    cache: Path | None = None,
) -> int:
    """Build every route from one private collection, attack each, write one report.

    Every release is built on random halves of the images, several times, so that the attacker
    can compare builds with and without each image. An interrupted run goes on where it was when
    the same command is given again.

    Examples:
    `sudare compare --preset demo`

    `sudare compare --data my-images/ --preset lite --set data.pool=2000 --set data.image_size=32`

    `sudare compare --preset demo --routes plain --canaries mislabelled:200`

    `sudare compare --preset demo --fail-on "dpsgd-eps1: membership.lira.auc > 0.55"`

    Args:
        preset: smoke (seconds), demo (minutes), lite (about an hour a route), paper (one GPU), or a
            TOML file; `sudare config schema` describes its fields.
        data: A source of `sudare data list`, a folder of images or an .npz file.
        routes: Names separated by commas: those of the preset with these names or kinds, and
            built-in settings for kinds the preset does not have.
        builds: Builds per release, even; 16 resolve a false-positive rate of 1 % on 1,000 images.
        seed: Root of every random number.
        workers: Worker processes; one per core.
        executor: local for processes of this machine, ray for a cluster that sees the cache.
        device: auto, cpu or cuda.
        fail_on: A gate such as "membership.lira.tpr@0.01 > 0.05"; may be given several times.
        canaries: Worst cases to plant and attack in builds of their own, a kind and a count such
            as mislabelled:200; kinds are mislabelled, duplicated and ood. Doubles the work.
        prior: Share of members among the images an attacker has, for precision; 0.01.
        null: The null control: redraw who is a member after the builds. Every AUC must be 0.5.
        override: A value by dotted name, such as fleet.builds=8 or routes.0.alpha=0.2.
        out: Run folder; runs/PRESET-DATA by default. A folder that holds another run is refused.
        force: Replace a run of another configuration in that folder.
        cache: Where builds are kept; $SUDARE_CACHE or ~/.cache/sudare.

    Returns:
        0 all gates pass, 1 one fails, 2 error, 3 one is undecided.
    """
    from sudare.audits.config import apply_overrides, load_config, read_toml
    from sudare.audits.decisions.gates import exit_status, gate_line
    from sudare.cli.options import choose_routes, with_options
    from sudare.core.progress import auto

    values = choose_routes(read_toml(preset), routes)
    options = {
        "data.source": data,
        "data.fit": True if data else None,
        "fleet.builds": builds,
        "fleet.workers": workers,
        "fleet.executor": executor,
        "fleet.device": device,
        "seed": seed,
        "audit.null": True if null else None,
        "audit.fail_on": list(fail_on) or None,
        "audit.canaries": list(canaries) or None,
        "audit.prior": prior,
    }
    config = load_config(apply_overrides(with_options(values, options), override))
    parts = [Path(preset).stem, Path(data).stem if data else "", "null" if null else ""]
    folder = out or Path("runs") / "-".join(part for part in parts if part)
    progress = auto()
    result, paths = run_and_report(config, folder, cache=cache, force=force, progress=progress)
    for line in paths.verdict:
        progress.say(line)
    progress.say(f"\nInternal report: {paths.internal}\nPublic report:   {paths.public}")
    for gate in result.gates:
        progress.say(gate_line(gate))
    return exit_status(result.gates)
