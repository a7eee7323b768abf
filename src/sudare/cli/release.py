"""``sudare release`` and ``sudare open``: make one artefact that may ship, and use one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sudare.cli.options import Whole


def release(
    route: str,
    *,
    data: str | None = None,
    preset: Annotated[str, Parameter(name=["--preset", "--config", "-c"])] = "demo",
    override: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"])] = (),
    out: Path | None = None,
    device: str = "auto",
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    despite: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Build one release, with its card. It is not audited: no word here says that it may leave.

    A random fifth of the patients, persons or sites is withheld, and `audit-key.npz` is written
    to a folder of its own, never with the release: with it this very artefact can be audited
    later. Every random number comes from the operating system; no seed is kept once the release
    is written. A build that was stopped goes on at its last stage when the same command is given.
    It computes on one core, as audited builds do: `--set fleet.threads=4` for large nets on a
    machine that does nothing else.

    Examples:
    `sudare release smoothing-0.05 --data pneumonia`

    `sudare release dpsgd-eps8 --set routes.0.privacy.target_epsilon=2`

    Args:
        route: A release's name in the preset, such as smoothing-0.05 or dpsgd-eps8, or a kind that
            is there once or not at all: plain, smoothing, dpsgd, subset,
            features, distillation, synthesis, federation, coreset or
            linear-public.
        data: A source of `sudare data list`, a folder of images or an .npz file.
        preset: Where the route's settings come from: a preset or a TOML file.
        override: A value by dotted name; the chosen route is routes.0.
        out: Folder for `release/`; releases/NAME by default. The key goes to a folder of the same
            name and `-private`.
        device: auto, cpu or cuda.
        from_: A finished run of `sudare compare` with this release: its decision is told and
            written on the card, and a release it says not to share is not built.
        despite: Build what the run says not to share; the card says so.

    Returns:
        0, or 2 after an error.
    """
    from sudare.audits.config import apply_overrides, load_config, read_toml
    from sudare.audits.ship import decided_in, make_artefact
    from sudare.cli.options import choose_route, with_options
    from sudare.core.progress import auto

    values = choose_route(read_toml(preset), route)
    options = {"data.source": data, "data.fit": True if data else None, "fleet.device": device}
    config = load_config(apply_overrides(with_options(values, options), override))
    progress = auto()
    if preset == "demo":
        progress.say(
            "The settings are those of preset demo, whose budgets are seconds. What leaves teaches "
            "more with those of lite (--preset lite) or your own (--set)."
        )
    decision = None
    if from_ is not None:
        names = [planned.name for route in config.routes for planned in route.releases]
        decision = decided_in(from_, names, despite=despite)
    made = make_artefact(config, out, progress=progress, decision=decision)
    progress.say(f"Written, not audited: {made.release}")
    if made.shows_private:
        progress.say("It contains private images as they are: do not share it.")
    if decision is not None:
        progress.say(f"The run {from_} says of such releases: {decision}.")
    for name, place in made.further.items():
        progress.say(f"Of the same build, not audited either, {name}: {place}")
    progress.say(f"Audit key (must not be shared): {made.key}")
    progress.say(f"Audit it before it leaves: sudare audit {made.release} --key {made.key}")
    return 0


def open_release(
    folder: Path,
    *,
    images: str | None = None,
    picture: Path | None = None,
    samples: Whole = 0,
    seed: Whole = 0,
    out: Path = Path("samples.npz"),
) -> int:
    """Open a release somebody gave you: check it, say what it is, and use it.

    Nothing in a release is executed. A classifier predicts the images you give; a set of images
    can be drawn as a contact sheet; a distribution of features gives as many as you like, and
    predicts your images through a head that is trained on them first.

    Examples:
    `sudare open releases/plain/release --images my-images/`

    `sudare open releases/gaussian-rank10/release --samples 500 --out samples.npz`

    Args:
        folder: The release.
        images: Images to classify: a source, a folder or an .npz file.
        picture: Write a contact sheet of released images to this PNG file.
        samples: Draw so many feature vectors of each class from a distribution.
        seed: Seed of the draw.
        out: The .npz file they go to: features, labels and class names.

    Returns:
        0, or 2 after an error.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from sudare.accounting.claims import wrong_claims
    from sudare.cli.pictures import save_picture
    from sudare.core.progress import auto
    from sudare.recipients.use import contact_sheet_of, try_release, write_samples
    from sudare.releases.store import read_release

    # The card is somebody else's text: no markup in it, and no link that shows another address.
    console = Console(markup=False)
    opened = read_release(folder)
    console.print(Markdown(opened.card.to_markdown(), hyperlinks=False))
    for text in wrong_claims(opened.card.ledger, opened.card.guarantee):
        console.print(f"CONTRADICTION: {text}")
    if images is not None:
        console.print(try_release(opened, images, progress=auto()))
    if samples:
        drawn = write_samples(opened, samples, out, seed=seed)
        console.print(f"{drawn:,} feature vectors: {out}")
    if picture is not None:
        save_picture(contact_sheet_of(opened), picture)
        console.print(f"Contact sheet: {picture}")
    return 0
