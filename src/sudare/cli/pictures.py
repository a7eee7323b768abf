"""Pictures that a command writes where it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def save_picture(sheet: Image, path: Path) -> None:
    """Write a PNG file, with the folders above it.

    Raises:
        DataError: Another suffix, or a place that cannot be written.
    """
    from sudare.core.errors import DataError

    if path.suffix.lower() != ".png":
        raise DataError("a contact sheet is a PNG file", where=str(path), fix="Name it so.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, format="PNG")
        # It may show private images; whoever means it for others says so.
        path.chmod(0o600)
    except OSError as error:
        raise DataError(f"the picture cannot be written: {error}", where=str(path)) from error
