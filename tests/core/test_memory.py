import platform
import subprocess
import sys

import pytest

# The same large block, taken, touched and freed again and again.
PROGRAM = """
import resource, sys
import numpy as np
from sudare.core.memory import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(4_000_000)
before = faults()
for _ in range(5):
    np.ones(4_000_000), np.ones(5_000_000)
print(faults() - before)
"""


def faults(how):
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the GNU allocator alone")
def test_large_blocks_are_used_again():
    assert 5 * faults("keep") < faults("leave")
