"""Progress with an ETA: a bar on a terminal, a line a minute elsewhere, silence in tests."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID


class Task(Protocol):
    """One running stage."""

    def advance(self, steps: float = 1.0) -> None:
        """Report that so many more steps are done."""

    def note(self, text: str) -> None:
        """Show a short text beside the stage."""


class Progress(Protocol):
    """Where stages report to."""

    def stage(self, label: str, total: float) -> contextlib.AbstractContextManager[Task]:
        """Open a stage of ``total`` steps."""

    def say(self, text: str) -> None:
        """Print one line that stays."""


class _NoTask:
    def advance(self, steps: float = 1.0) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """Reports nothing."""

    @contextlib.contextmanager
    def stage(self, label: str, total: float) -> Iterator[Task]:
        """A stage nobody sees."""
        yield _NoTask()

    def say(self, text: str) -> None:
        """Say nothing."""


class LineAtEnd:
    """A stage is one line when it ends: for work beside a bar that belongs to something else.

    Args:
        progress: Where the line goes.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @contextlib.contextmanager
    def stage(self, label: str, total: float) -> Iterator[Task]:
        """A stage that says how long it took."""
        start = time.monotonic()
        yield _NoTask()
        self._progress.say(f"{label}: done in {_clock(time.monotonic() - start)}")

    def say(self, text: str) -> None:
        """Print one line that stays."""
        self._progress.say(text)


class _CallbackTask:
    def __init__(self, report: Callable[[float], None], total: float) -> None:
        self._report, self._total, self._done = report, max(total, 1e-9), 0.0

    def advance(self, steps: float = 1.0) -> None:
        self._done += steps
        self._report(min(self._done / self._total, 1.0))

    def note(self, text: str) -> None: ...


class CallbackProgress:
    """Reports the fraction of the innermost stage to a function, as a worker does to its parent.

    Args:
        report: Called with a fraction in [0, 1], at most every ``every_s`` seconds.
        every_s: Least time between two calls.
    """

    def __init__(self, report: Callable[[float], None], *, every_s: float = 0.2) -> None:
        self._report, self._every_s, self._last = report, every_s, 0.0

    @contextlib.contextmanager
    def stage(self, label: str, total: float) -> Iterator[Task]:
        """A stage whose fraction goes to the function."""
        yield _CallbackTask(self._throttled, total)

    def say(self, text: str) -> None:
        """Drop the text: a worker has no terminal."""

    def _throttled(self, fraction: float) -> None:
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            self._report(fraction)


class _LineTask:
    def __init__(self, label: str, total: float, every_s: float) -> None:
        self._label, self._total, self._every_s = label, total, every_s
        self._start = self._last = time.monotonic()
        self._done, self._note = 0.0, ""

    def advance(self, steps: float = 1.0) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._last >= self._every_s:
            self._last = now
            self._print(now - self._start)

    def note(self, text: str) -> None:
        self._note = f" {text}"

    def _print(self, elapsed: float) -> None:
        share = self._done / self._total if self._total else 1.0
        # A hundredth of the way says nothing of the rest: "0 % after 2 minutes, 9 hours left".
        left = elapsed * (1 - share) / share if share >= 0.01 else float("nan")
        eta = f"about {_clock(left)} left" if left == left else "no estimate yet"
        print(f"{self._label}: {share:.0%} after {_clock(elapsed)}, {eta}{self._note}", flush=True)


class LineProgress:
    """Prints a line a minute: for logs and pipes."""

    def __init__(self, *, every_s: float = 60.0) -> None:
        self._every_s = every_s

    @contextlib.contextmanager
    def stage(self, label: str, total: float) -> Iterator[Task]:
        """A stage that prints when it starts, every minute, and when it ends."""
        start = time.monotonic()
        print(f"{label} ...", flush=True)
        yield _LineTask(label, total, self._every_s)
        print(f"{label}: done in {_clock(time.monotonic() - start)}", flush=True)

    def say(self, text: str) -> None:
        """Print the line."""
        print(text, flush=True)


class RichProgress:
    """Bars with ETA on a terminal; finished stages stay as a line."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextlib.contextmanager
    def stage(self, label: str, total: float) -> Iterator[Task]:
        """A stage with a bar, elapsed time and estimated time left."""
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            # No markup: a name in brackets is not a colour.
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            # Builds finish in lumps; a long window keeps the estimate from jumping.
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            speed_estimate_period=120,
        )
        with bar:
            task = bar.add_task(label, total=total, note="")
            yield _RichTask(bar, task)
            # Fractions add up to a hair below the total; a finished bar is full.
            bar.update(task, completed=total)

    def say(self, text: str) -> None:
        """Print the line above the bars."""
        self._console.print(text, highlight=False, markup=False)


class _RichTask:
    def __init__(self, bar: RichBar, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance(self, steps: float = 1.0) -> None:
        self._bar.advance(self._task, steps)

    def note(self, text: str) -> None:
        self._bar.update(self._task, note=text)


def auto() -> Progress:
    """Bars on a terminal, a line a minute elsewhere."""
    return RichProgress() if sys.stderr.isatty() else LineProgress()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"
