"""The folder of a run: one configuration each, never a mixture of two collections."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sudare.audits.config import RunConfig, load_config, read_toml
from sudare.audits.toml import to_toml
from sudare.core.errors import ConfigError
from sudare.core.files import atomic_write

_CONFIG = "config.toml"
_WRITTEN = (
    "run.json",
    "findings.json",
    _CONFIG,
    "report.html",
    "report-public.html",
    "report-ja.html",
    "report-public-ja.html",
    "releases",
    "internal",
    "evidence",
)
"""What a run writes; nothing else is ever removed."""


def check_folder(folder: Path, config: RunConfig, *, force: bool = False) -> None:
    """Refuse a folder that is not this run's, before work starts; nothing is written.

    Args:
        folder: The run folder.
        config: The run.
        force: Whether another run there may be replaced.

    Raises:
        ConfigError: The folder holds another run, or files that are no run.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError("this is a file", where=str(folder), fix="Choose another --out.")
    there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if not there or force or _same(folder, config):
        return
    held = f"files that are no run, such as {there[0]}"
    if _CONFIG in there:
        held = "a run of another configuration"
    raise ConfigError(
        f"the folder holds {held}",
        where=str(folder),
        fix="Choose another --out, or replace the run with --force.",
    )


def claim(folder: Path, config: RunConfig, *, force: bool = False) -> None:
    """Make a folder this run's, and write down the configuration.

    A run that is repeated, resumed or judged by other gates keeps its folder. Releases, pictures
    and evidence of another configuration would stay beside this one's and be taken for it.

    Args:
        folder: The run folder; made if it is not there.
        config: The run.
        force: Remove what another run wrote there first; other files stay.

    Raises:
        ConfigError: The folder holds another run, or files that are no run.
    """
    check_folder(folder, config, force=force)
    if folder.exists() and not _same(folder, config):
        for name in _WRITTEN:
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Private images and who is a member lie in it; the public page may be copied out.
        folder.mkdir(mode=0o700)
    atomic_write(folder / _CONFIG, to_toml(config.model_dump(mode="json")))


def _same(folder: Path, config: RunConfig) -> bool:
    path = folder / _CONFIG
    if not path.is_file():
        return False
    try:
        before = load_config(read_toml(str(path)))
    except (ConfigError, UnicodeDecodeError):
        return False
    return identity(before) == identity(config)


def identity(config: RunConfig) -> dict[str, Any]:
    """What findings depend on: all but how they are judged, priced and worked out."""
    values = config.model_dump(mode="json", exclude={"prices", "verdict", "threat"})
    for section, names in {"audit": ("fail_on",), "fleet": ("workers", "executor")}.items():
        for name in names:
            values[section].pop(name)
    return values
