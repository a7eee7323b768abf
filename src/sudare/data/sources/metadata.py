"""The file ``metadata.csv`` of a folder of images: units, groups, silos, splits, attributes."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sudare.core.arrays import IntArray
from sudare.core.errors import DataError
from sudare.core.wording import say
from sudare.data.sources.source import TEST

NO_UNIT = say("note.no_unit")
"""What is said of the owner's images that come without units."""

METADATA = "metadata.csv"
_LONGEST_CELL = 2**24
_SPLITS = ("train", "val", TEST)
_KNOWN = ("file", "unit", "group", "silo", "split")
_WORDS_FOR_FILE = (
    "filename",
    "file_name",
    "file name",
    "image",
    "path",
    "filepath",
    "name",
    "file",
)
_WORDS_FOR_UNIT = ("patient", "subject", "person", "case", "participant", "proband", "individual")


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key of natural order: 2 before 10, a2 before a10.

    >>> sorted(["10", "2", "b1", "a10", "a9"], key=natural)
    ['2', '10', 'a9', 'a10', 'b1']
    """
    parts = re.split(r"(\d+)", text)
    return tuple(
        (0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part
    )


@dataclass(frozen=True)
class Metadata:
    """Columns in the order of the images; text is numbered in natural order.

    Attributes:
        path: The file.
        columns: Column name to one text per image.
    """

    path: Path
    columns: dict[str, tuple[str, ...]]

    def numbered(self, column: str) -> tuple[IntArray, tuple[str, ...]] | None:
        """A column as ``int64 [n]`` and the text of each number, or None if there is none."""
        if column not in self.columns:
            return None
        names = sorted(set(self.columns[column]), key=natural)
        place = {name: number for number, name in enumerate(names)}
        return np.array([place[text] for text in self.columns[column]], dtype=np.int64), (*names,)

    def attributes(self) -> dict[str, IntArray]:
        """All further columns, ``int64 [n]``: whole numbers as they are, text numbered."""
        found = {}
        for column, values in self.columns.items():
            if column not in _KNOWN:
                try:
                    found[column] = np.array([int(value) for value in values], dtype=np.int64)
                except (ValueError, OverflowError):
                    # Text, or numbers such as accession numbers that no int64 holds.
                    found[column] = np.unique(np.array(values), return_inverse=True)[1]
        return found

    def splits(self) -> tuple[str, ...]:
        """The official split of each image; ``all`` where the file names none.

        Raises:
            DataError: A split that is not train, val or test.
        """
        images = len(self.columns["file"])
        splits = self.columns.get("split", ("all",) * images)
        for file, split in zip(self.columns["file"], splits, strict=True):
            if split not in (*_SPLITS, "all"):
                raise self.error(
                    f"split {split!r} of {file!r} is unknown", f"Use one of: {', '.join(_SPLITS)}."
                )
        return splits

    def notes(self) -> tuple[str, ...]:
        """What is assumed of units and which columns go unused, a sentence each."""
        if "unit" in self.columns:
            return ()
        told = [NO_UNIT]
        told += [
            say("note.column", column=repr(column), file=METADATA)
            for column in self.columns
            if column not in _KNOWN and any(word in column.lower() for word in _WORDS_FOR_UNIT)
        ]
        return tuple(told)

    def check_units(self) -> None:
        """Refuse a unit that is both in the test set and outside it.

        Raises:
            DataError: Such a unit.
        """
        side: dict[str, tuple[bool, str]] = {}
        rows = zip(self.columns.get("unit", ()), self.splits(), self.columns["file"], strict=False)
        for unit, split, file in rows:
            held_out, first = side.setdefault(unit, (split == TEST, file))
            if held_out != (split == TEST):
                raise self.error(
                    f"unit {unit!r} is in both train and test, with {first!r} and {file!r}",
                    "Give each patient, person or site to one split only.",
                )

    def error(self, what: str, fix: str) -> DataError:
        """An error about this file."""
        return DataError(what, where=str(self.path), fix=fix)


def read_metadata(root: Path, files: Sequence[str]) -> Metadata:
    """Read the file, if there is one, in the order of the images.

    Args:
        root: The folder of images.
        files: Path of each image, relative to the folder, with forward slashes.

    Raises:
        DataError: A file that is no such table, or whose rows are not the images one by one.
    """
    path = root / METADATA
    # macOS stores an umlaut as two characters, a table has one.
    files = [unicodedata.normalize("NFC", file) for file in files]
    if not path.exists():
        return Metadata(path, {"file": tuple(files)})
    header, rows = _rows(path)
    empty = Metadata(path, {})
    if "file" not in header:
        raise empty.error(*_no_file(header))
    position = header.index("file")
    named: dict[str, list[str]] = {}
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise empty.error(
                f"line {number} has {len(row)} of {len(header)} cells", "Fill every column."
            )
        blank = [name for name, cell in zip(header, row, strict=True) if not cell.strip()]
        if needed := [name for name in blank if name in _KNOWN]:
            raise empty.error(f"line {number} has no {needed[0]}", "Fill the cell.")
        named_file = unicodedata.normalize("NFC", row[position].replace("\\", "/"))
        if named.setdefault(named_file, row) is not row:
            raise empty.error(f"{row[position]!r} has two rows", "Keep one.")
    if unknown := sorted(set(named) - set(files)):
        bare = "/" not in unknown[0] and any(file.endswith(f"/{unknown[0]}") for file in files)
        raise empty.error(
            f"{unknown[0]!r} is no image of the folder",
            "Write the class folder before it, as in class/image.png."
            if bare
            else "Correct or remove the row.",
        )
    if absent := sorted(set(files) - set(named)):
        raise empty.error(f"{absent[0]!r} has no row", "Add a row for every image.")
    columns = {
        name: tuple(named[file][index].strip() for file in files)
        for index, name in enumerate(header)
    }
    return Metadata(path, columns | {"file": tuple(files)})


def _no_file(header: Sequence[str]) -> tuple[str, str]:
    """What is wrong with a header without the column `file`, and what to do."""
    whole = ", ".join(header)
    for name, sign in (("semicolons", ";"), ("tabs", "\t")):
        if len(header) == 1 and sign in whole:
            return f"cells seem to be separated by {name}", "Save the table with commas."
    alike = [name for name in header if name.lower() in ("file", *_WORDS_FOR_FILE)]
    fix = f"Rename {alike[0]!r} to 'file'." if alike else "Name each image, as in class/image.png."
    return f"there is no column 'file' but {whole or 'nothing'}", fix


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    # A report in a cell is longer than the default, and no danger.
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"the table cannot be read: {error}", where=str(path), fix="Save it as CSV in UTF-8."
        ) from error
    # Whoever writes Unit or SPLIT means the column.
    names = [low if (low := name.strip().lower()) in _KNOWN else name.strip() for name in header]
    if len(set(names)) != len(names):
        raise DataError("two columns have the same name", where=str(path), fix="Rename one.")
    return names, rows
