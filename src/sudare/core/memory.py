"""Keep memory that was freed, instead of asking the system for it again at every step."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 1 << 30


def keep_memory() -> bool:
    """Let the allocator of this process reuse large blocks; whether it could be told so.

    The GNU allocator maps every block over 128 KiB anew and gives it back when freed, so each
    training step pays for fresh zeroed pages. Kept blocks make the process no larger than its peak.
    Other allocators (macOS, musl) are left as they are.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    kept = set_option(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
    return bool(kept and set_option(_M_TRIM_THRESHOLD, 2**31 - 1))
