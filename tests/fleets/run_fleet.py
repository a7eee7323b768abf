"""A fleet in a process of its own, so that it can be killed: cache folder, number of chains."""

import sys
from pathlib import Path

from sudare.core.progress import Silent
from sudare.fleets.cache import Cache
from sudare.fleets.local import LocalExecutor
from tests.fleets.test_local import slow_chains

if __name__ == "__main__":
    cache = Cache(Path(sys.argv[1]))
    with LocalExecutor(cache, workers=2) as executor:
        executor.run(slow_chains(cache, int(sys.argv[2])), progress=Silent(), label="fleet")
