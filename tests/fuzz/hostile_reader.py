"""Reads files one after the other under a limit of memory; what each ended in, as JSON.

``python -m tests.fuzz.hostile_reader LIST`` where LIST is a JSON file of [reader, path].
"""

import contextlib
import json
import resource
import sys
import time
from pathlib import Path

from sudare.accounting.ledger import Ledger
from sudare.core.errors import SudareError
from sudare.core.kept import kept_tensor, kept_values
from sudare.data.sources.registry import load_source
from sudare.routes.federation.keys import certificate_of, key_of, verified
from sudare.routes.federation.wire import Answer, Question, unpack
from tests.fuzz.test_fuzz import KINDS, READERS

MORE_BYTES = 300 << 20

READ = {
    **READERS,
    "ledgers": lambda path: Ledger(path).close(),
    "kept tensors": kept_tensor,
    "kept values": kept_values,
    "frames": lambda path: unpack(path.read_bytes(), Answer),
    "questions": lambda path: unpack(path.read_bytes(), Question),
    "certificates": certificate_of,
    "own keys": key_of,
    "receipts": lambda path: verified(path.read_text(errors="replace"), b"none"),
    "collections": lambda path: load_source(str(path)),
}


def main():
    listed = json.loads(Path(sys.argv[1]).read_text())
    warm, hostile = listed["warm"], listed["hostile"]
    # What is imported once is not the files' fault.
    for reader, path in warm:
        with contextlib.suppress(SudareError):
            READ[reader](Path(path))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MORE_BYTES, resource.RLIM_INFINITY))
    found = []
    for reader, path in hostile:
        start = time.process_time()
        try:
            READ[reader](Path(path))
            said = ["read", ""]
        except SudareError as error:
            said = ["refused", str(error)]
        except BaseException as error:
            said = [type(error).__name__, str(error)[:300]]
        found.append([*said, time.process_time() - start])
    print(json.dumps(found))


assert set(KINDS) <= set(READ)
if __name__ == "__main__":
    main()
