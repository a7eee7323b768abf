"""The ledger: what privacy budget was spent on what, written down before it is spent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sudare.accounting.accountants import epsilon_of_history
from sudare.core.errors import BudgetError
from sudare.core.files import try_lock

__all__ = ["GAUSSIAN", "HeldError", "Ledger", "LedgerEntry", "composed_epsilon"]

GAUSSIAN = ("Gaussian", "Poisson-subsampled Gaussian")
"""Mechanisms whose whole history one accountant composes."""


class HeldError(BudgetError):
    """Another process holds the ledger."""


class LedgerEntry(BaseModel):
    """One use of a mechanism on private images."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    purpose: str = Field(description="What the budget was spent on.")
    mechanism: str = Field(description="Name of the mechanism.")
    accountant: str = Field(default="PRV upper bound", description="How epsilon was computed.")
    noise_multiplier: float = Field(gt=0, description="Noise over sensitivity.")
    sample_rate: float = Field(gt=0, le=1, description="Chance of an image to take part.")
    steps: int = Field(ge=1, le=10**9, description="How often it ran.")
    delta: float = Field(ge=0, lt=1, description="0 for pure differential privacy.")
    epsilon: float = Field(ge=0, description="Upper bound, add/remove one image.")


def composed_epsilon(entries: Sequence[LedgerEntry], *, delta: float) -> float:
    """Upper bound on epsilon of all entries together at one delta.

    The Gaussian mechanisms among them are composed as one history (PRV), which costs less than the
    sum of their epsilons; others are added to it. Their own deltas are then on top of `delta`.

    Args:
        entries: What was spent.
        delta: Delta of the Gaussian mechanisms together.
    """
    steps: dict[tuple[float, float], int] = {}
    others = 0.0
    for entry in entries:
        if entry.mechanism in GAUSSIAN:
            kind = (entry.noise_multiplier, entry.sample_rate)
            steps[kind] = steps.get(kind, 0) + entry.steps
        else:
            others += entry.epsilon
    history = tuple((sigma, rate, count) for (sigma, rate), count in steps.items())
    return others + (epsilon_of_history(history, delta=delta) if history else 0.0)


class Ledger:
    """Entries that only grow; with a file, each is on disk before the work it pays for.

    One writer at a time: the file is locked for as long as the ledger is open, so that two
    processes cannot each spend what is left. A last line that a cut-off process left torn is
    dropped: `charge` had not returned, so the work it would have paid for had not begun. Any other
    damage is an error.

    Args:
        path: A file of one JSON object a line, or None to keep the ledger in memory.
        delta: Delta at which the whole history is composed.
        max_epsilon: Budget at that delta that may not be overspent, or None.

    Raises:
        HeldError: Another process holds the file.
        BudgetError: A line in it is no entry.
    """

    def __init__(
        self, path: Path | None = None, *, delta: float = 1e-5, max_epsilon: float | None = None
    ) -> None:
        self._path, self._delta, self._max_epsilon = path, delta, max_epsilon
        self._entries: list[LedgerEntry] = []
        self._handle: int | None = None
        if path is not None:
            self._handle = _locked(path)
            try:
                self._entries = _read(self._handle, path)
            except BudgetError:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another writer have the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """What was charged, in order."""
        return tuple(self._entries)

    @property
    def epsilon(self) -> float:
        """Of all entries composed."""
        return composed_epsilon(self._entries, delta=self._delta)

    def charge(self, entry: LedgerEntry) -> None:
        """Write an entry down; call this before the mechanism runs.

        Raises:
            BudgetError: The budget would be overspent, or the ledger is closed; nothing is written.
        """
        where = str(self._path or "ledger")
        if self._max_epsilon is not None:
            total = composed_epsilon([*self._entries, entry], delta=self._delta)
            if total > self._max_epsilon:
                raise BudgetError(
                    f"{entry.purpose} would raise epsilon to {total:.3f}, above "
                    f"{self._max_epsilon:g}",
                    where=where,
                    fix="Stop here, or agree on a larger budget.",
                )
        if self._path is not None:
            if self._handle is None:
                raise BudgetError("the ledger is closed", where=where)
            line = entry.model_dump_json().encode() + b"\n"
            os.lseek(self._handle, 0, os.SEEK_END)
            while line:
                line = line[os.write(self._handle, line) :]
            os.fsync(self._handle)
        self._entries.append(entry)


def _locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if not try_lock(handle):
        os.close(handle)
        raise HeldError(
            "another process holds this ledger",
            where=str(path),
            fix="End it first: two writers would each spend what is left.",
        )
    # The file's name must be on disk as well, or a power cut forgets all that was spent.
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return handle


def _read(handle: int, path: Path) -> list[LedgerEntry]:
    content = b""
    while part := os.read(handle, 1 << 20):
        content += part
    whole, _, torn = content.rpartition(b"\n")
    if torn:
        os.ftruncate(handle, len(content) - len(torn))
        os.fsync(handle)
    entries = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            entries.append(LedgerEntry.model_validate_json(line))
        except ValidationError as error:
            raise BudgetError(
                f"line {number} of the ledger is damaged",
                where=str(path),
                fix="Restore the file from a copy; without it nobody knows what was spent.",
            ) from error
    return entries
