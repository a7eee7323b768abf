"""Writing that is whole or absent: a killed process leaves no half file behind."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

__all__ = ["UNREADABLE", "atomic_directory", "atomic_write", "default_cache", "sweep_drafts"]

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile)
"""What reading an .npz file and what is in it raises, if it is none or holds other things."""


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
def atomic_directory(path: Path, *, mode: int = 0o700) -> Iterator[Path]:
    """Yield an empty folder that becomes ``path`` when the block ends without an error.

    What a killed process left of the same folder is removed. If ``path`` came into being
    meanwhile (another worker was faster), the new one is dropped: entries are addressed by
    content, so both are the same.

    Args:
        path: The folder.
        mode: Who may open it; the owner alone by default.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(path.parent, name=path.name)
    owner = f".{path.name}.{_host()}-{os.getpid()}."
    draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=owner))
    try:
        yield draft
        for file in draft.rglob("*"):
            if file.is_file():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
        draft.chmod(mode)
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                os.rename(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sweep_drafts(folder: Path, *, name: str = "") -> None:
    """Remove drafts in a folder whose process on this machine is dead.

    Args:
        folder: Where ``atomic_directory`` was writing.
        name: Of the folder that was being written; any if empty.
    """
    for draft in folder.glob(f".{name}*"):
        owner = _OWNER.search(draft.name)
        if owner is None or owner["host"] != _host() or _lives(int(owner["pid"])):
            continue
        shutil.rmtree(draft, ignore_errors=True)


_OWNER = re.compile(r"\.(?P<host>[A-Za-z0-9_]+)-(?P<pid>\d+)\.[^.]*$")


def _host() -> str:
    """This machine, in letters a file name may have; a shared folder has drafts of others."""
    return re.sub(r"[^A-Za-z0-9]", "_", platform.node())[:32] or "unnamed"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
