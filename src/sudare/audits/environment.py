"""Machine and versions, for the report and for whoever repeats a run."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from sudare.core.machine import cores

_PACKAGES = ("torch", "opacus", "numpy", "scipy", "scikit-learn")


def machine() -> dict[str, str]:
    """Processor, cores, memory and system in words."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(cores()),
        "memory_gb": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f}",
    }


def versions() -> dict[str, str]:
    """Versions of Sudare, Python and what the numbers depend on."""
    own = {"sudare": metadata.version("sudare"), "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in _PACKAGES}


def made_by(command: str, folder: Path) -> dict[str, object]:
    """What a measured result has to say of itself: command, commit, date, machine and versions.

    Args:
        command: What repeats it.
        folder: Anywhere in the checkout it was made from; the commit says "dirty" if it was.
    """
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "command": command,
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": said.stdout.strip() or "unknown",
    }


def now() -> str:
    """The time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
