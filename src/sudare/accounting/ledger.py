"""The ledger: what privacy budget was spent on what, written down before it is spent."""

from __future__ import annotations

import hmac
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sudare.accounting.accountants import epsilon_of_history
from sudare.accounting.witness import (
    Witness,
    state_folder,
    witness_by_name,
    witness_of_place,
)
from sudare.core.errors import BudgetError
from sudare.core.files import UNREADABLE, try_lock
from sudare.core.hashing import Json, canonical_json

GAUSSIAN = ("Gaussian", "Poisson-subsampled Gaussian")
"""Mechanisms whose whole history one accountant composes."""
EXACT = "no noise"
"""What left was exact: no epsilon holds for its records from then on."""
LEAST_NOISE = 0.05
"""Noise over sensitivity below which such a mechanism is no entry of a ledger."""
SEEDED = "noise that follows from a seed"
"""A mechanism of rehearsals: whoever has the seed takes the noise off, and no epsilon holds."""


class HeldError(BudgetError):
    """Another process holds the ledger."""


class LedgerEntry(BaseModel):
    """One use of a mechanism on private images."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    purpose: str = Field(description="What the budget was spent on.")
    mechanism: str = Field(description="Name of the mechanism.")
    accountant: str = Field(default="PRV upper bound", description="How epsilon was computed.")
    noise_multiplier: float = Field(ge=0, le=1e6, description="Noise over sensitivity.")
    sample_rate: float = Field(gt=0, le=1, description="Chance of an image to take part.")
    steps: int = Field(ge=1, le=10**9, description="How often it ran.")
    delta: float = Field(ge=0, lt=1, description="0 for pure differential privacy.")
    epsilon: float = Field(ge=0, description="Upper bound, add/remove one image.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        # Composed numerically on a grid that grows with epsilon: terabytes for next to no noise.
        if not self.noise_multiplier and self.mechanism != EXACT:
            raise ValueError("noise_multiplier 0 is no mechanism")
        if self.mechanism in GAUSSIAN and self.noise_multiplier < LEAST_NOISE:
            raise ValueError(
                f"noise_multiplier {self.noise_multiplier:g} is below {LEAST_NOISE:g}: no epsilon "
                "says anything of so little noise"
            )
        return self


def composed_epsilon(entries: Sequence[LedgerEntry], *, delta: float) -> float:
    """Upper bound on epsilon of all entries together at one delta; infinite without noise.

    The Gaussian mechanisms among them are composed as one history (PRV), which costs less than the
    sum of their epsilons; others are added to it. Their own deltas are then on top of `delta`.

    Args:
        entries: What was spent.
        delta: Delta of the Gaussian mechanisms together.
    """
    steps: dict[tuple[float, float], int] = {}
    others = 0.0
    for entry in entries:
        if entry.mechanism in (SEEDED, EXACT):
            return math.inf
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

    Each line is sealed over the one before it, and how far the ledger has come is remembered
    outside its folder (`sudare.accounting.witness`). So a line that is edited, cut off or taken
    from elsewhere, a copy from a backup and a file that is gone are refused: none of them is
    budget again.

    Args:
        path: A file of one JSON object a line, or None to keep the ledger in memory.
        delta: Delta at which the whole history is composed.
        max_epsilon: Budget at that delta that may not be overspent, or None.

    Raises:
        HeldError: Another process holds the file.
        BudgetError: It is not the ledger that is remembered, or a line in it is no entry.
    """

    def __init__(
        self, path: Path | None = None, *, delta: float = 1e-5, max_epsilon: float | None = None
    ) -> None:
        self._path, self._delta, self._max_epsilon = path, delta, max_epsilon
        self._entries: list[LedgerEntry] = []
        self._references: set[str] = set()
        self._handle: int | None = None
        self._witness: Witness | None = None
        if path is not None:
            self._handle = _locked(path)
            try:
                self._open(path)
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
    def references(self) -> frozenset[str]:
        """What the entries were charged for, by the names `charge` was given."""
        return frozenset(self._references)

    @property
    def epsilon(self) -> float:
        """Of all entries composed; infinite after noise that can be taken off."""
        return composed_epsilon(self._entries, delta=self._delta)

    def charge(self, entry: LedgerEntry, reference: str = "", *, spent: bool = False) -> None:
        """Write an entry down; call this before the mechanism runs.

        Args:
            entry: What is spent.
            reference: What it is spent on, a name to find it by.
            spent: Whether it ran already, so that no budget can forbid it.

        Raises:
            BudgetError: The budget would be overspent, or the ledger is closed; nothing is written.
        """
        where = str(self._path or "ledger")
        if self._max_epsilon is not None and not spent:
            total = composed_epsilon([*self._entries, entry], delta=self._delta)
            if total > self._max_epsilon:
                raise BudgetError(
                    f"{entry.purpose} would raise epsilon to {total:.3f}, above "
                    f"{self._max_epsilon:g}",
                    where=where,
                    fix="Stop here, or agree on a larger budget.",
                )
        if self._path is not None:
            self._write(self._path, entry, reference)
        self._entries.append(entry)
        self._references.add(reference)

    def _open(self, path: Path) -> None:
        assert self._handle is not None
        lines, last = _lines(self._handle), witness_of_place(path)
        if not lines:
            if last is not None and last.entries:
                raise _wound_back(path, last, 0)
            self._witness = last or Witness.begun(path)
            return
        self._witness = _named(lines[0], path)
        if last is not None and last.entries and last.name != self._witness.name:
            raise BudgetError(
                f"this is not the ledger of {last.entries} entries that was kept here",
                where=str(path),
                fix="Put that one back; without it nobody knows what was spent.",
            )
        seal = self._witness.first
        for number, line in enumerate(lines[1:], start=2):
            try:
                read = _Line.model_validate_json(line)
                text = _text(json.loads(line))
            except UNREADABLE as error:
                raise _damaged(path, number) from error
            seal = self._witness.next(seal, text)
            if not hmac.compare_digest(seal, read.seal):
                raise _damaged(path, number)
            self._entries.append(read.entry)
            self._references.add(read.reference)
        if len(self._entries) < self._witness.entries:
            raise _wound_back(path, self._witness, len(self._entries))
        if len(self._entries) == self._witness.entries and seal != self._witness.seal:
            raise _damaged(path, len(lines))
        # A process may have been cut off between the line and what is remembered of it.
        self._remember(path, seal)

    def _remember(self, path: Path, seal: str) -> None:
        assert self._witness is not None
        further = self._witness.moved(entries=len(self._entries), seal=seal, place=path)
        if further != self._witness:
            further.save()
            self._witness = further

    def _write(self, path: Path, entry: LedgerEntry, reference: str) -> None:
        if self._handle is None or self._witness is None:
            raise BudgetError("the ledger is closed", where=str(path))
        content = b""
        if not self._entries:
            # Remembered before there is anything to remember, or the first line were nobody's.
            self._witness.save()
            os.ftruncate(self._handle, 0)
            head = {"ledger": self._witness.name, "seal": self._witness.first}
            content = json.dumps(head).encode() + b"\n"
        line: dict[str, Json] = {"entry": entry.model_dump(mode="json"), "reference": reference}
        seal = self._witness.next(self._witness.seal, _text(line))
        content += canonical_json({**line, "seal": seal}).encode() + b"\n"
        os.lseek(self._handle, 0, os.SEEK_END)
        while content:
            content = content[os.write(self._handle, content) :]
        os.fsync(self._handle)
        self._witness = self._witness.moved(entries=len(self._entries) + 1, seal=seal, place=path)
        self._witness.save()


class _Line(BaseModel):
    """One line of a ledger's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: LedgerEntry
    reference: str = Field(default="", max_length=200)
    seal: str = Field(max_length=64)


def _text(line: Mapping[str, Json]) -> str:
    """What a line's seal is over: what the line says, however a later version would write it."""
    return canonical_json({name: line[name] for name in ("entry", "reference")})


def _named(line: bytes, path: Path) -> Witness:
    """What is remembered of the ledger whose first line this is."""
    try:
        read = json.loads(line)
        name, seal = str(read["ledger"]), str(read["seal"])
    except UNREADABLE as error:
        raise _damaged(path, 1) from error
    found = witness_by_name(name)
    if found is None:
        raise BudgetError(
            "nothing outside its folder remembers this ledger",
            where=str(path),
            fix=f"Bring {state_folder() / 'ledgers'} from the machine and user that wrote it, or "
            "name its place in SUDARE_STATE; without it nobody knows what was spent.",
        )
    if not hmac.compare_digest(found.first, seal):
        raise _damaged(path, 1)
    return found


def _wound_back(path: Path, known: Witness, entries: int) -> BudgetError:
    here = f"the ledger has {entries}" if entries else "the ledger is gone or empty: it has none"
    return BudgetError(
        f"{here} of the {known.entries} entries that were written, and an older copy is no new "
        "budget",
        where=str(path),
        fix=f"Put the newest file back (last seen at {known.place}); without it nobody knows what "
        "was spent.",
    )


def _damaged(path: Path, number: int) -> BudgetError:
    return BudgetError(
        f"line {number} of the ledger is damaged or not its own",
        where=str(path),
        fix="Restore the newest copy of the file; without it nobody knows what was spent.",
    )


def _locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise BudgetError(
            "the ledger is a link or cannot be opened",
            where=str(path),
            fix="Give a folder of your own, on this machine's disk.",
        ) from error
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


def _lines(handle: int) -> list[bytes]:
    """The whole lines of a file; a torn last one is cut off it."""
    content = b""
    while part := os.read(handle, 1 << 20):
        content += part
    whole, _, torn = content.rpartition(b"\n")
    if torn:
        os.ftruncate(handle, len(content) - len(torn))
        os.fsync(handle)
    return whole.splitlines()
