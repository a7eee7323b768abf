"""Writing that is whole or absent: a killed process leaves no half file behind."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

_SEAL = ".seal.json"
UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile),
    # What is nested without end ends the reader's stack.
    RecursionError,
)
"""What reading an .npz file and what is in it raises, if it is none or holds other things."""


def default_cache() -> Path:
    """Where builds and downloads are kept: ``$SUDARE_CACHE``, else ``~/.cache/sudare``."""
    named = os.environ.get("SUDARE_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "sudare"


def atomic_write(path: Path, content: str | bytes, *, public: bool = False) -> None:
    """Write a file through a temporary one beside it and a rename.

    Args:
        path: The file.
        content: What goes in.
        public: Whether it is meant for others than its owner.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o777 if public else 0o700)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if public:
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
    owner = f".{path.name}.{_owner()}."
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


def try_lock(handle: int) -> bool:
    """Take an open file or folder until the handle is closed; False if another has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def seal(folder: Path, name: str) -> None:
    """Write down the checksum of every file of a folder, and what it will be called, beside them.

    Args:
        folder: The folder.
        name: Its name once it is whole: put under another, it is not what it was sealed as.
    """
    text = json.dumps({"name": name, "files": _sums(folder)}, sort_keys=True)
    (folder / _SEAL).write_text(text)


def is_sealed(folder: Path) -> bool:
    """Whether every file of a folder is as it was when the folder was sealed."""
    try:
        listed = json.loads((folder / _SEAL).read_text())
    except (OSError, ValueError):
        return False
    try:
        return bool(listed == {"name": folder.name, "files": _sums(folder)})
    except OSError:
        return False


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _SEAL)
    sums = {}
    for path in files:
        with path.open("rb") as file:
            sums[path.relative_to(folder).as_posix()] = hashlib.file_digest(
                file, "sha256"
            ).hexdigest()
    return sums


def sweep_drafts(folder: Path, *, name: str = "") -> None:
    """Remove drafts in a folder whose process on this machine is dead.

    Args:
        folder: Where ``atomic_directory`` was writing.
        name: Of the folder that was being written; any if empty.
    """
    for draft in folder.glob(f".{glob.escape(name)}*"):
        owner = _OWNER.search(draft.name)
        if owner is None or owner["host"] != _host():
            continue
        if _lives(int(owner["pid"]), started=owner["started"]):
            continue
        shutil.rmtree(draft, ignore_errors=True)


_OWNER = re.compile(r"\.(?P<host>[A-Za-z0-9_]+)-(?P<pid>\d+)-(?P<started>\d+)\.[^.]*$")


def _owner(pid: int | None = None) -> str:
    """A process in letters a file name may have: where it runs, its number and its start."""
    number = os.getpid() if pid is None else pid
    return f"{_host()}-{number}-{_started(number)}"


def _host() -> str:
    """Where process numbers mean the same; a shared folder has drafts of other places."""
    node = re.sub(r"[^A-Za-z0-9]", "_", platform.node())[:32] or "unnamed"
    try:
        # Two containers may have one name, and each its own process numbers.
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"{node}_{space}"


def _started(pid: int) -> int:
    """When a process started, in clock ticks since the machine did; 0 where nothing tells."""
    try:
        about = Path(f"/proc/{pid}/stat").read_text()
        # The second field, a name in parentheses, may hold anything; the start is the 22nd.
        return int(about.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _lives(pid: int, *, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # A number is given out again after its process is gone, the start is not.
    return str(_started(pid)) in (started, "0") or started == "0"
