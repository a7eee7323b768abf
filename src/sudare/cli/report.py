"""``sudare report``: write the pages of a run again."""

from __future__ import annotations

from pathlib import Path

__all__ = ["report"]


def report(run_folder: Path = Path("runs/demo"), *, open_browser: bool = False) -> None:
    """Write the two pages of a run again, and print its verdict.

    A run writes its findings as they come, so this works while it is still under way. The
    folder gets two files, each complete in itself and readable offline:

    - report.html, internal: with the most exposed private images. Do not share it.
    - report-public.html, to hand on: no private image, no private count, no seed.

    Example: `sudare report runs/demo --open-browser`

    Args:
        run_folder: The folder that `sudare compare` or `sudare audit` wrote.
        open_browser: Open the internal page in the default browser.
    """
    # Charts take half a second to import; `sudare --help` must not wait for them.
    from rich.console import Console

    from sudare.report import write_report

    paths = write_report(run_folder)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for sentence in paths.verdict:
        console.print(sentence)
    console.print()
    console.print(f"Internal, with private images: {paths.internal}")
    console.print(f"Public, to hand on:            {paths.public}")
    if open_browser:
        import webbrowser

        webbrowser.open(paths.internal.resolve().as_uri())
