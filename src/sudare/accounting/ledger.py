"""The ledger: what privacy budget was spent on what, written down before it is spent."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from sudare.core.errors import BudgetError

__all__ = ["Ledger", "LedgerEntry"]


class LedgerEntry(BaseModel):
    """One use of a mechanism on private images."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    purpose: str = Field(description="What the budget was spent on.")
    mechanism: str = Field(description="Name of the mechanism.")
    accountant: str = Field(default="PRV upper bound", description="How epsilon was computed.")
    noise_multiplier: float = Field(gt=0, description="Noise over sensitivity.")
    sample_rate: float = Field(gt=0, le=1, description="Chance of an image to take part.")
    steps: int = Field(ge=1, description="How often it ran.")
    delta: float = Field(ge=0, lt=1, description="0 for pure differential privacy.")
    epsilon: float = Field(ge=0, description="Upper bound, add/remove one image.")


class Ledger:
    """Entries that only grow; with a file, each is on disk before the work it pays for.

    Epsilons and deltas are added up (basic composition), valid for any mix of mechanisms; the
    entries keep what a tighter accountant needs.

    Args:
        path: A file of one JSON object a line, or None to keep the ledger in memory.
        max_epsilon: Budget that may not be overspent, or None.
    """

    def __init__(self, path: Path | None = None, *, max_epsilon: float | None = None) -> None:
        self._path, self._max_epsilon = path, max_epsilon
        self._entries: list[LedgerEntry] = []
        if path is not None and path.exists():
            lines = path.read_text().splitlines()
            self._entries = [LedgerEntry.model_validate(json.loads(line)) for line in lines]

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """What was charged, in order."""
        return tuple(self._entries)

    @property
    def epsilon(self) -> float:
        """Sum of the entries' epsilons."""
        return sum(entry.epsilon for entry in self._entries)

    @property
    def delta(self) -> float:
        """Sum of the entries' deltas; the epsilon holds at this delta, not at one entry's."""
        return sum(entry.delta for entry in self._entries)

    def charge(self, entry: LedgerEntry) -> None:
        """Write an entry down; call this before the mechanism's output is used.

        Raises:
            BudgetError: The budget would be overspent; nothing is written.
        """
        total = self.epsilon + entry.epsilon
        if self._max_epsilon is not None and total > self._max_epsilon:
            raise BudgetError(
                f"{entry.purpose} would raise epsilon to {total:.3f}, above {self._max_epsilon}",
                where=str(self._path or "ledger"),
                fix="Stop here, or agree on a larger budget.",
            )
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(entry.model_dump_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
        self._entries.append(entry)
