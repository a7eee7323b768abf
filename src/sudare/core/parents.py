"""Children that end with their parent, also where it is killed: a pipe only the parent holds."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO

_VARIABLE = "SUDARE_PARENT"


def started_child(
    command: Sequence[str],
    *,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a Sudare process that ends when this one does, however this one ends.

    The child reads a pipe whose other end only this process holds; its end is this process' end,
    after SIGKILL too. (`PR_SET_PDEATHSIG` exists on Linux only, and goes by the thread.)
    """
    theirs, ours = os.pipe()
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **(environment or {}), _VARIABLE: str(theirs)},
            pass_fds=[theirs],
        )
    finally:
        os.close(theirs)
    # Held for as long as this process lives, on purpose: nothing is ever written to it.
    _HELD.append(ours)
    return process


_HELD: list[int] = []


def end_with_parent() -> None:
    """In such a child: end, as if asked to, when the parent is gone. Elsewhere nothing."""
    named = os.environ.pop(_VARIABLE, "")
    if not named.isdigit():
        return
    handle = int(named)
    os.set_inheritable(handle, False)

    def watch() -> None:
        try:
            os.read(handle, 1)
        except OSError:
            return
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent").start()
