"""What this process may use of the machine it runs on."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Processors this process may use: its affinity and its container's limit, not the host's."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = _QUOTA.read_text().split()
        limit = max(1, int(quota) // int(period))
    except (OSError, ValueError):
        # No container, or one without a limit ("max").
        return max(1, allowed or 1)
    return max(1, min(allowed or 1, limit))
