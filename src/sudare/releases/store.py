"""Writing and reading releases: listed files only, nothing that can execute."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from sudare.core.errors import ReleaseError
from sudare.core.files import atomic_directory
from sudare.core.hashing import hash_file
from sudare.core.printable import escaped, unprintable
from sudare.core.strict_json import read_json
from sudare.releases.card import RELEASE_SCHEMA, Card, FileEntry
from sudare.releases.kinds import Release
from sudare.releases.registry import kind_class

CARD_FILE, README_FILE, TENSOR_FILE = "release.json", "README.md", "tensors.safetensors"
MAX_CARD_BYTES = 2**20
MAX_FILE_BYTES = 2 * 2**30


def write_release(release: Release, folder: Path) -> Card:
    """Write a release to a new folder, whole or not at all.

    Returns:
        The card with its list of files.

    Raises:
        ReleaseError: The folder exists, or the card is one no reader would take.
    """
    if folder.exists():
        raise ReleaseError("the folder exists", where=str(folder), fix="Choose another name.")
    release.check()
    _refuse_hidden(release.card.model_dump(mode="json"), folder)
    # Open to others, unlike what is private: a release is there to be handed on.
    with atomic_directory(folder, mode=0o755) as draft:
        (draft / TENSOR_FILE).write_bytes(save_tensors(release.tensors()))
        (draft / README_FILE).write_text(release.card.to_markdown())
        files = tuple(
            FileEntry(name=name, bytes=path.stat().st_size, sha256=hash_file(path))
            for name in (README_FILE, TENSOR_FILE)
            for path in [draft / name]
        )
        card = release.card.model_copy(update={"files": files})
        (draft / CARD_FILE).write_text(card.model_dump_json(by_alias=True, indent=1) + "\n")
        for file in draft.iterdir():
            file.chmod(0o644)
    return card


def read_release(folder: Path) -> Release:
    """Read a release, refusing anything that is not what the card lists.

    Raises:
        ReleaseError: Unlisted, missing, oversized or changed files, symbolic links, folders,
            a card of another schema, tensors that do not fit.
    """
    card = read_card(folder)
    try:
        tensors = load_tensors((folder / TENSOR_FILE).read_bytes())
    except (SafetensorError, OSError) as error:
        message = escaped(f"the tensors cannot be read: {error}")
        raise ReleaseError(message, where=str(folder)) from error
    return kind_class(card.kind).from_tensors(card, tensors)


_MODEL = "A model is audited with --model package:factory --weights w.safetensors."
_SCORES = "Scores are audited from an .npz file with scores and membership."
_WHAT_FILES_ARE = {
    **dict.fromkeys((".pkl", ".pt", ".pth", ".joblib", ".h5", ".onnx", ".safetensors"), _MODEL),
    **dict.fromkeys((".csv", ".tsv", ".json", ".parquet", ".npy", ".xlsx"), _SCORES),
}
_NAMED = 3


def _in(folder: Path) -> str:
    """The releases of a run, where the folder is one."""
    there = sorted(card.parent for card in folder.glob(f"releases/*/{CARD_FILE}"))
    if not there:
        return ""
    more = ", ..." if len(there) > _NAMED else ""
    return f"This is a run; its releases: {', '.join(map(str, there[:_NAMED]))}{more or '.'}"


def read_card(folder: Path) -> Card:
    """Read and check the card and every listed file, without loading tensors.

    Raises:
        ReleaseError: As for ``read_release``, tensors excepted.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ReleaseError(
            "a release is a folder" if folder.exists() else "there is no such folder",
            where=str(folder),
            fix=_WHAT_FILES_ARE.get(folder.suffix.lower(), ""),
        )
    names = sorted(entry.name for entry in folder.iterdir())
    if CARD_FILE not in names:
        inside = folder / "release"
        raise ReleaseError(
            f"this is no release: there is no {CARD_FILE}",
            where=str(folder),
            fix=f"The release is {inside}." if (inside / CARD_FILE).is_file() else _in(folder),
        )
    for name in names:
        mode = (folder / name).lstat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a plain file"
            raise ReleaseError(f"{name!r} is {kind}", where=str(folder))
    card = _parse_card(folder / CARD_FILE)
    _check_files(folder, card, set(names) - {CARD_FILE})
    return card


def release_bytes(card: Card) -> int:
    """Size of the listed files in bytes."""
    return sum(entry.bytes for entry in card.files)


def _parse_card(path: Path) -> Card:
    if path.stat().st_size > MAX_CARD_BYTES:
        raise ReleaseError("the card is larger than 1 MiB", where=str(path))
    try:
        text = path.read_bytes()
        card = Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ReleaseError(
            escaped(f"the card is not valid: {place}: {first['msg']}"), where=str(path)
        ) from error
    _refuse_hidden(_once(text, path), path)
    if card.schema_name != RELEASE_SCHEMA:
        raise ReleaseError(
            f"the card has schema {card.schema_name!r}, this version reads {RELEASE_SCHEMA!r}",
            where=str(path),
            fix="Install the version of sudare that wrote it.",
        )
    return card


def _once(text: bytes, path: Path) -> object:
    """The values, refused where a key is there twice: readers differ in which one they take."""
    try:
        return read_json(text)
    except ValueError as error:
        raise ReleaseError(f"the card says something twice: {error}", where=str(path)) from error


def _refuse_hidden(card: object, path: Path) -> None:
    if hidden := _hidden(card):
        raise ReleaseError(
            f"the card holds a character that is not for print: {hidden!r}", where=str(path)
        )


def _hidden(value: object) -> str:
    """A character that would act on a terminal or turn the text round, anywhere in the card."""
    if isinstance(value, str):
        return unprintable(value)
    parts: Iterable[object] = ()
    if isinstance(value, dict):
        parts = (*value.keys(), *value.values())
    elif isinstance(value, list):
        parts = value
    return next(filter(None, map(_hidden, parts)), "")


def _check_files(folder: Path, card: Card, present: set[str]) -> None:
    listed = {entry.name for entry in card.files}
    if unlisted := sorted(present - listed):
        raise ReleaseError(f"{unlisted[0]!r} is not listed on the card", where=str(folder))
    if missing := sorted((listed | {TENSOR_FILE}) - present):
        raise ReleaseError(f"{missing[0]!r} is missing", where=str(folder))
    for entry in card.files:
        path = folder / entry.name
        size = path.stat().st_size
        if size != entry.bytes or size > MAX_FILE_BYTES:
            raise ReleaseError(
                f"{entry.name!r} has {size} bytes, the card says {entry.bytes}", where=str(folder)
            )
        if entry.name == README_FILE:
            _check_readme(path)
        if hash_file(path) != entry.sha256:
            raise ReleaseError(f"{entry.name!r} is not the file the card lists", where=str(folder))


def _check_readme(path: Path) -> None:
    """A text that people open: small, and nothing in it that acts on a terminal.

    Raises:
        ReleaseError: It is not that.
    """
    if path.stat().st_size > MAX_CARD_BYTES:
        raise ReleaseError("the file is larger than 1 MiB", where=str(path))
    try:
        hidden = _hidden(path.read_text(encoding="utf-8").translate({10: None, 9: None}))
    except UnicodeDecodeError as error:
        raise ReleaseError("the file is not UTF-8", where=str(path)) from error
    if hidden:
        raise ReleaseError(
            f"the file holds a character that is not for print: {hidden!r}", where=str(path)
        )
