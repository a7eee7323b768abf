import platform
import subprocess
import sys

import pytest

# What the allocator still holds of a freed block of 32 MB: deterministic, where counts of page
# faults vary with the size of the system's pages.
PROGRAM = """
import ctypes, sys
import numpy as np
from sudare.core.memory import keep_memory
class Held(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd",
        "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]
mallinfo = ctypes.CDLL(None).mallinfo
mallinfo.restype = Held
if sys.argv[1] == "keep":
    assert keep_memory()
before = mallinfo().fordblks
np.ones(4_000_000)
print(mallinfo().fordblks - before)
"""


def held_after_freeing(how):
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the GNU allocator alone")
def test_freed_blocks_are_kept_for_the_next_step():
    assert held_after_freeing("leave") < 1_000_000
    assert held_after_freeing("keep") > 30_000_000
