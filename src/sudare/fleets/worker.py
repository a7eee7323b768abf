"""A worker process: reads chains as JSON lines, writes progress and outcomes as JSON lines.

Run as ``python -m sudare.fleets.worker``. It ends when its standard input does, so a parent
that is killed leaves no orphan, whatever the worker is doing.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

from sudare.core.errors import SudareError
from sudare.core.memory import keep_memory
from sudare.core.progress import CallbackProgress
from sudare.fleets.cache import Cache
from sudare.fleets.jobs import execute, job_of


def main() -> None:
    """Serve chains until standard input ends."""
    keep_memory()
    # Ctrl-C reaches the whole terminal group; the parent decides, not each worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not mix with the messages.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    while True:
        _serve(json.loads(inbox.get()), channel)


def _listen(inbox: queue.Queue[str]) -> None:
    for line in sys.stdin:
        inbox.put(line)
    os._exit(0)


def _serve(message: dict[str, Any], channel: TextIO) -> None:
    cache = Cache(Path(message["cache"]))
    done, weight = 0.0, 0.0
    jobs = [job_of(one) for one in message["chain"]]
    total = sum(job.weight for job in jobs)

    def send(**values: Any) -> None:  # noqa: ANN401
        try:
            print(json.dumps(values), file=channel, flush=True)
        except BrokenPipeError:
            # The parent is gone: nobody is left to tell, and the entry is not finished.
            os._exit(0)

    def report(fraction: float) -> None:
        send(at=(done + weight * fraction) / total)

    try:
        for job in jobs:
            weight = job.weight
            execute(job, cache, CallbackProgress(report))
            done += weight
    except SudareError as error:
        send(
            failed={
                "kind": type(error).__name__,
                "what": error.what,
                "where": error.where,
                "fix": error.fix,
            }
        )
    except BaseException:
        send(failed={"kind": "", "what": traceback.format_exc()})
    else:
        send(done=True)


if __name__ == "__main__":
    main()
