"""``sudare data``: which collections there are, what is in one, and how to get it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from sudare.cli.options import Whole

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from sudare.data.describe import Description

app = App(
    name="data",
    help="""List, describe and fetch image collections.

    For example: `sudare data describe pneumonia --picture xrays.png`
    """,
)


@app.command(name="list")
def list_sources() -> None:
    """List the named sources: what they show, their licence, and whether they are at hand.

    Your own images need no name: give a folder with one sub-folder of PNG or JPEG files per class
    (and perhaps a metadata.csv), or an .npz file with the arrays `images` and `labels`.

    For example: `sudare data list`
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from sudare.data.sources import CATALOGUE, about, at_hand, named_sources

    table = Table("name", "what", "licence", "at hand", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for name in named_sources():
        licence = CATALOGUE[name].licence if name in CATALOGUE else "its own"
        table.add_row(name, about(name), licence, "yes" if at_hand(name) else "fetch")
    table.add_section()
    table.add_row("FOLDER", "your own: FOLDER/CLASS/*.png or *.jpg; metadata.csv", "yours", "path")
    table.add_row("FILE.npz", "your own: arrays images and labels; MedMNIST", "yours", "path")
    console = _console()
    console.print(table)
    console.print("fetch: get it with `sudare data fetch NAME`, or when it is first used.")


@app.command
def describe(
    name: str,
    *,
    picture: Path | None = None,
    image_size: Whole | None = None,
    near: bool | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Say what is in a collection: counts, sizes, duplicates, near-duplicates, conflicts.

    Do this before anything is built: a picture that is there twice can be both in and out.

    For example: `sudare data describe pneumonia --picture xrays.png`,
    or `sudare data describe my-images/ --image-size 32 --json`

    Args:
        name: A source of `sudare data list`, a folder of images or an .npz file.
        picture: Write a contact sheet of the training images to this PNG file.
        image_size: Cut to the largest square and resize to this side in pixels.
        near: Look for near-duplicates, however long it takes; by default up to 20,000 images.
        as_json: Print JSON instead of text.
    """
    from sudare.cli.pictures import save_picture
    from sudare.core.progress import Silent, auto
    from sudare.data.describe import describe as describe_source
    from sudare.data.pictures import contact_sheet
    from sudare.data.sources import load_source

    # What is not a terminal gets lines on standard output, which must be nothing but JSON here.
    progress = Silent() if as_json else auto()
    source = load_source(name, image_size=image_size, progress=progress)
    description = describe_source(source, near=near, progress=progress)
    if picture is not None:
        save_picture(contact_sheet(source.train), picture)
    if as_json:
        print(description.model_dump_json(indent=1))
        return
    _print(description)
    if picture is not None:
        _console().print(f"Contact sheet: {picture}", markup=False)


@app.command
def fetch(name: str) -> None:
    """Download a named source into the cache, and verify its published checksum.

    The cache is the folder `$SUDARE_CACHE`, or `~/.cache/sudare`. Without a connection, the error
    says which file to put where by hand.

    For example: `sudare data fetch fashion-mnist`

    Args:
        name: A name of `sudare data list`.
    """
    from sudare.core.progress import auto
    from sudare.data.sources import at_hand, load_source

    found = at_hand(name)
    source = load_source(name, progress=auto())
    images = sum(source.splits.values())
    _console().print(
        f"{name}: {images:,} images, " + ("were at hand already." if found else "now at hand.")
    )


def _print(description: Description) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    channels, height, width = description.image_shape
    splits = ", ".join(f"{name} {count:,}" for name, count in description.splits.items())
    near = "not looked for; ask with --near"
    near = near if description.near_copies is None else f"{description.near_copies:,}"
    facts = Table.grid(padding=(0, 2))
    for label, text in {
        "Collection": description.name,
        "Source": description.source,
        "Licence": description.licence,
        "Images": f"{sum(description.splits.values()):,} ({splits})",
        "Size": f"{width} x {height} pixels, {'grey' if channels == 1 else 'RGB'}",
        "Units": f"{description.units:,} (images of one unit are in or out together)",
        "Test images also in train": f"{description.test_in_train:,}",
        "Further near-duplicates": near,
        "Conflicting labels": f"{description.label_conflicts:,} groups of identical images",
    }.items():
        facts.add_row(label, _plain(text))
    counts = Table("class", box=SIMPLE_HEAD, pad_edge=False)
    for part in description.parts:
        counts.add_column(part, justify="right")
        counts.add_column(f"exact copies in {part}", justify="right")
    columns = [c for part in description.parts.values() for c in (part.images, part.exact_copies)]
    for name, *row in zip(description.class_names, *columns, strict=True):
        counts.add_row(_plain(str(name)), *(f"{count:,}" for count in row))
    console = _console()
    console.print(facts)
    console.print()
    console.print(counts)
    for note in description.notes:
        console.print(f"Note: {note}.", markup=False)


def _plain(text: str) -> Text:
    """Text without markup: a name in brackets is not a colour."""
    from rich.text import Text

    return Text(text)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)
