"""``sudare data``: which collections there are, and what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

__all__ = ["app"]

app = App(name="data", help="List, describe and fetch image collections.")


@app.command(name="list")
def list_sources() -> int:
    """List the named sources, with licence and how to get each.

    Returns:
    -------
    int
        0.
    """
    from rich.console import Console
    from rich.table import Table

    from sudare.data.sources import ABOUT

    table = Table(title="Sources for --data")
    for column in ("name", "what", "licence", "how"):
        table.add_column(column)
    for name, about in ABOUT.items():
        table.add_row(name, about.what, about.licence, about.how)
    Console().print(table)
    return 0


@app.command
def describe(
    name: str,
    *,
    picture: Path | None = None,
    image_size: int | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Say what is in a collection: counts, sizes, duplicates, near-duplicates.

    Example: `sudare data describe pneumonia --picture xrays.png`

    Parameters
    ----------
    name
        A source of `sudare data list`, a folder of images or an .npz file.
    picture
        Write a contact sheet to this PNG file.
    image_size
        Resize a folder's images to this side in pixels.
    as_json
        Print JSON instead of a table.

    Returns:
    -------
    int
        0, or 2 after an error.
    """
    from rich.console import Console

    from sudare.core.progress import auto
    from sudare.data.describe import describe as run
    from sudare.data.pictures import contact_sheet
    from sudare.data.sources import load_source

    source = load_source(name, image_size=image_size, progress=auto())
    description = run(source)
    if as_json:
        print(description.model_dump_json(indent=1))
    else:
        Console().print(description.to_text(), highlight=False, markup=False)
    if picture is not None:
        contact_sheet(source.train).save(picture)
        Console().print(f"Contact sheet: {picture}", highlight=False)
    return 0


@app.command
def fetch(name: str) -> int:
    """Download a named source into the cache, with its checksum verified.

    Example: `sudare data fetch fashion-mnist`

    Parameters
    ----------
    name
        A source of `sudare data list`.

    Returns:
    -------
    int
        0, or 2 after an error.
    """
    from sudare.core.progress import auto
    from sudare.data.sources import load_source

    progress = auto()
    source = load_source(name, progress=progress)
    progress.say(f"{name}: {sum(source.splits.values()):,} images are at hand")
    return 0
