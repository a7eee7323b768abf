"""Pictures of a run folder as embedded PNGs."""

from __future__ import annotations

import base64
import io

from PIL import Image, UnidentifiedImageError

from sudare.report.load import Run

_MOST_PIXELS = 16_000_000
LARGEST_PX = 160
"""Longer side of one image of the collection."""


def embedded(run: Run, picture: str, largest: int = LARGEST_PX) -> str:
    """The picture as a ``data:`` address; only files inside the run folder are read."""
    folder = run.folder.resolve()
    path = (folder / picture).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        return ""
    try:
        with Image.open(path, formats=["PNG"]) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return ""
            # Written anew: a file's own metadata may name a patient or a path.
            image = opened.convert("L" if opened.mode in {"1", "L", "I;16"} else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return ""
    image.thumbnail((largest, largest))
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
