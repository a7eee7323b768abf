"""What is known of a ledger outside its folder, so that an older copy of it is no new budget."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sudare.core.errors import BudgetError
from sudare.core.files import UNREADABLE, atomic_write


def state_folder() -> Path:
    """Where Sudare remembers: ``$SUDARE_STATE``, else ``~/.local/state/sudare``."""
    named = os.environ.get("SUDARE_STATE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "sudare"


@dataclass(frozen=True)
class Witness:
    """How far a ledger is known to have come.

    Attributes:
        name: Of the ledger, drawn when it was begun; hexadecimal.
        key: Of the chain of its lines, hexadecimal; never in the ledger's folder.
        entries: How many lines were written.
        seal: Of the last of them.
        place: Where the ledger was last seen.
    """

    name: str
    key: str
    entries: int
    seal: str
    place: str

    @classmethod
    def begun(cls, place: Path) -> Witness:
        """Of a new ledger."""
        name, key = secrets.token_hex(16), secrets.token_hex(32)
        return cls(name, key, 0, _seal(key, "", name), str(place.resolve()))

    @property
    def first(self) -> str:
        """The seal of the line that names the ledger."""
        return _seal(self.key, "", self.name)

    def next(self, before: str, text: str) -> str:
        """The seal of a line that follows another: HMAC-SHA256 over both."""
        return _seal(self.key, before, text)

    def moved(self, *, entries: int, seal: str, place: Path) -> Witness:
        """The same, further on."""
        return replace(self, entries=entries, seal=seal, place=str(place.resolve()))

    def save(self) -> None:
        """Keep it, mode 0600, under its name and its place."""
        # One after the other: parents would get the mask's mode.
        for folder in (state_folder(), _folder()):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic_write(_file(self.name), json.dumps(asdict(self)))
        atomic_write(_pointer(Path(self.place)), self.name)


def witness_by_name(name: str) -> Witness | None:
    """What is known of a ledger of this name; None if nothing is.

    Raises:
        BudgetError: What is known is damaged.
    """
    if not name or not set(name) <= set("0123456789abcdef"):
        return None
    path = _file(name)
    try:
        read = json.loads(path.read_text())
        return Witness(
            name=str(read["name"]),
            key=str(read["key"]),
            entries=int(read["entries"]),
            seal=str(read["seal"]),
            place=str(read["place"]),
        )
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise BudgetError(
            "what is remembered of this ledger is damaged",
            where=str(path),
            fix="Restore the file from a copy; without it nobody knows what was spent.",
        ) from error


def witness_of_place(place: Path) -> Witness | None:
    """What is known of the last ledger that was seen at a place; None if none was."""
    try:
        name = _pointer(place.resolve()).read_text().strip()
    except OSError:
        return None
    return witness_by_name(name)


def _seal(key: str, before: str, text: str) -> str:
    return hmac.new(bytes.fromhex(key), f"{before}\n{text}".encode(), hashlib.sha256).hexdigest()


def _folder() -> Path:
    return state_folder() / "ledgers"


def _file(name: str) -> Path:
    return _folder() / f"{name}.json"


def _pointer(place: Path) -> Path:
    return _folder() / f"at-{hashlib.sha256(str(place).encode()).hexdigest()[:32]}"
