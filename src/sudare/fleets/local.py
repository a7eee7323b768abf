"""The local executor: one worker process a core, one thread each on a CPU."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from sudare.core import errors
from sudare.core.errors import CacheError, SudareError
from sudare.core.machine import cores
from sudare.core.progress import Progress
from sudare.core.progress import Task as ProgressTask
from sudare.fleets.cache import Cache
from sudare.fleets.jobs import Chain, message_of

_TRIES = 2


@dataclass(eq=False)
class _Run:
    """What is left to do, and how far each chain is."""

    chains: Sequence[Chain]
    waiting: deque[int]
    bar: ProgressTask
    share: dict[int, float] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)
    open: int = 0

    def reached(self, chain: int, share: float) -> None:
        """Move the bar; a chain that starts again after a crash does not move it back."""
        before = self.share.get(chain, 0.0)
        if share > before:
            self.bar.advance(share - before)
            self.share[chain] = share


@dataclass(eq=False)
class _Worker:
    """A process, and what it is at: of this run, or still of one that was given up."""

    process: subprocess.Popen[str]
    chain: int | None = None
    run: _Run | None = None


class LocalExecutor:
    """Runs chains of tasks in worker processes that live as long as the context.

    One run at a time, in whatever thread.

    Args:
        cache: Where entries go.
        workers: Number of processes; one per core by default.
        threads: Threads of each.
    """

    overlaps: ClassVar[bool] = True
    """Whether a run may go on in a thread while another works."""

    def __init__(self, cache: Cache, *, workers: int | None = None, threads: int = 1) -> None:
        self.cache, self.threads = cache, threads
        self.workers = workers or max(1, cores() // threads)
        self._pool: list[_Worker] = []
        self._ended = False
        self._messages: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()

    def __enter__(self) -> LocalExecutor:
        """Start nothing yet: workers start with the first work."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every worker, whatever it is doing, and start no other."""
        self._ended = True
        for worker in tuple(self._pool):
            worker.process.kill()
        for worker in tuple(self._pool):
            _bury(worker)
        self._pool.clear()

    def run(self, chains: Sequence[Chain], *, progress: Progress, label: str) -> None:
        """Fill every entry of every chain; those that are there already cost nothing.

        Raises:
            SudareError: What a task raised, or a worker that died twice on one chain.
        """
        missing = [
            index
            for index, chain in enumerate(chains)
            if not self.cache.complete((job.key for job in chain), progress)
        ]
        with progress.stage(label, len(chains)) as bar:
            bar.advance(len(chains) - len(missing))
            run = _Run(chains=chains, waiting=deque(missing), bar=bar, open=len(missing))
            for worker in tuple(self._pool):
                # One that is still at a run which failed comes back when it is through.
                if worker.chain is None:
                    self._feed(worker, run)
            while len(self._pool) < min(self.workers, len(missing)):
                self._feed(self._start(), run)
            while run.open:
                worker, message = self._messages.get()
                self._handle(worker, message, run)

    def _start(self) -> _Worker:
        if self._ended:
            # A run in another thread, whose worker was just killed, must not bring it back.
            raise CacheError("the workers were ended")
        environment = os.environ | {
            "OMP_NUM_THREADS": str(self.threads),
            "MKL_NUM_THREADS": str(self.threads),
            "PYTHONPATH": os.pathsep.join(search_path()),
        }
        process = subprocess.Popen(
            # -P: nothing in the working folder, which somebody may have sent, is imported.
            [sys.executable, "-P", "-m", "sudare.fleets.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        worker = _Worker(process)
        self._pool.append(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def _listen(self, worker: _Worker) -> None:
        stream = worker.process.stdout
        if stream is not None:
            for line in stream:
                message = _message_of(line)
                if message is None:
                    # Printed before the worker took its output away from everybody else.
                    print(f"a worker printed: {line.rstrip()[:200]}", file=sys.stderr)
                else:
                    self._messages.put((worker, message))
        self._messages.put((worker, None))

    def _feed(self, worker: _Worker, run: _Run) -> None:
        worker.chain = worker.run = None
        stream = worker.process.stdin
        if not run.waiting or stream is None:
            return
        worker.chain, worker.run = run.waiting.popleft(), run
        chain = [message_of(job) for job in run.chains[worker.chain]]
        message = {"cache": str(self.cache.root), "chain": chain}
        try:
            stream.write(json.dumps(message) + "\n")
            stream.flush()
        except OSError:
            # It died while it had nothing to do: the work was not begun, so it does not count.
            run.waiting.appendleft(worker.chain)
            worker.chain = worker.run = None
            self._pool.remove(worker)
            _bury(worker)
            self._feed(self._start(), run)

    def _handle(self, worker: _Worker, message: dict[str, Any] | None, run: _Run) -> None:
        if message is None:
            self._replace(worker, run)
        elif worker.chain is None:
            return
        elif "at" in message:
            if worker.run is run:
                run.reached(worker.chain, message["at"])
        elif worker.run is not run:
            # The outcome of a run that was given up is nobody's; the worker is free again.
            self._feed(worker, run)
        elif "failed" in message:
            worker.chain = worker.run = None
            raise error_of(message["failed"])
        else:
            run.reached(worker.chain, 1.0)
            run.open -= 1
            self._feed(worker, run)

    def _replace(self, worker: _Worker, run: _Run) -> None:
        """A worker died (out of memory, killed): give its chain to a fresh one, once."""
        if worker in self._pool:
            self._pool.remove(worker)
            _bury(worker)
        if worker.chain is None or worker.run is not run:
            if run.waiting:
                self._feed(self._start(), run)
            return
        run.tries[worker.chain] = run.tries.get(worker.chain, 1) + 1
        if run.tries[worker.chain] > _TRIES:
            raise CacheError(
                f"a worker died twice (exit status {worker.process.wait()}) on the same work",
                fix="It may have run out of memory: use fewer workers or a smaller batch.",
            )
        run.waiting.appendleft(worker.chain)
        self._feed(self._start(), run)


def _bury(worker: _Worker) -> None:
    worker.process.wait()
    for stream in (worker.process.stdin, worker.process.stdout):
        if stream is not None:
            # A dead worker's pipe cannot take what is still in our buffer.
            with contextlib.suppress(OSError):
                stream.close()


def _message_of(line: str) -> dict[str, Any] | None:
    """What a worker says, or None where somebody else printed."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def error_of(failed: dict[str, str]) -> SudareError:
    """The error a worker described."""
    kind = getattr(errors, failed["kind"], None) if failed["kind"] else None
    if kind is None:
        return CacheError(f"a worker failed:\n{failed['what']}")
    error: SudareError = kind(failed["what"], where=failed["where"], fix=failed["fix"])
    return error


def search_path() -> list[str]:
    """Where workers look for modules: as this process, but not where it was started.

    A user who put that folder on PYTHONPATH meant it.
    """
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    meant = {Path(path).resolve() for path in given if path}
    here = Path.cwd()
    return [path for path in sys.path if path and (Path(path).resolve() != here or here in meant)]
