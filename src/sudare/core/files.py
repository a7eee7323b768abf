"""Writing that is whole or absent: a killed process leaves no half file behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_directory", "atomic_write", "default_cache"]


def default_cache() -> Path:
    """Where builds and downloads are kept: ``$SUDARE_CACHE``, else ``~/.cache/sudare``."""
    named = os.environ.get("SUDARE_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "sudare"


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write a file through a temporary one beside it and a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp gives 0600; reports are meant to be opened by others than their author.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``path`` when the block ends without an error.

    If ``path`` came into being meanwhile (another worker was faster), the new one is dropped:
    entries are addressed by content, so both are the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield draft
        for file in draft.rglob("*"):
            if file.is_file():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                os.rename(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
