"""The Ray executor: the same plan over a cluster that shares the cache's folder."""

from __future__ import annotations

import os
import traceback
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sudare.core.errors import CacheError, ConfigError, SudareError
from sudare.core.memory import keep_memory
from sudare.core.progress import Progress, Silent
from sudare.fleets.cache import Cache
from sudare.fleets.jobs import Chain, execute, job_of, message_of
from sudare.fleets.local import error_of, search_path

_TRIES = 2
_POLL_S = 1.0
_LEAST_VERSION = (2, 60)


class RayExecutor:
    """Runs chains of tasks as Ray tasks.

    It joins the cluster of ``RAY_ADDRESS`` or starts one on this machine. A chain whose worker
    died is given to another worker once, as on one machine.

    Args:
        cache: Where entries go; every node must see it under the same path.
        workers: Cores (GPUs) of a cluster that is started here; all by default. A cluster that
            is joined decides for itself.
        threads: Threads of each worker.
        gpus: GPUs of each worker.

    Ray listens on every interface of the machine and runs what whoever may join sends it, so
    nobody joins without its token (``RAY_AUTH_MODE=token``, set here).

    Raises:
        ConfigError: Ray is not installed, too old to ask for a token, or told not to.
    """

    overlaps: ClassVar[bool] = False
    """A cluster is asked by one thread."""

    def __init__(
        self, cache: Cache, *, workers: int | None = None, threads: int = 1, gpus: int = 0
    ) -> None:
        mode = os.environ.setdefault("RAY_AUTH_MODE", "token")
        if mode.lower() != "token":
            raise ConfigError(
                f"RAY_AUTH_MODE is {mode!r}, so that anybody who reaches a port of this machine "
                "runs code on it",
                where="fleet.executor",
                fix="Unset it, or set it to token.",
            )
        try:
            import ray
        except ImportError as error:
            raise ConfigError(
                "Ray is not installed", where="fleet.executor", fix="pip install 'sudare[ray]'"
            ) from error
        if tuple(int(part) for part in ray.__version__.split(".")[:2]) < _LEAST_VERSION:
            raise ConfigError(
                f"Ray {ray.__version__} lets anybody join",
                where="fleet.executor",
                fix="pip install 'sudare[ray]': a version that asks for a token.",
            )
        self._ray: Any = ray
        self.cache, self.threads, self.gpus, self.workers = cache, threads, gpus, workers
        self._started = False

    def __enter__(self) -> RayExecutor:
        """Start nothing yet: the cluster is joined with the first work."""
        return self

    def __exit__(self, *ignored: object) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._started:
            self._ray.shutdown()
            self._started = False

    def run(self, chains: Sequence[Chain], *, progress: Progress, label: str) -> None:
        """Fill every entry of every chain; those that are there already cost nothing.

        Raises:
            SudareError: What a task raised, a worker that died twice on one chain, or a node
                that does not see the cache.
        """
        missing = [
            chain
            for chain in chains
            if not self.cache.complete((job.key for job in chain), progress)
        ]
        with progress.stage(label, len(chains)) as bar:
            bar.advance(len(chains) - len(missing))
            if not missing:
                return
            self._join()
            remote = self._ray.remote(
                num_cpus=self.threads, num_gpus=self.gpus, max_retries=_TRIES - 1
            )(run_chain)
            with _Probe(self.cache) as probe:
                waiting = [
                    remote.remote(str(self.cache.root), probe, [message_of(job) for job in chain])
                    for chain in missing
                ]
                while waiting:
                    done, waiting = self._ray.wait(waiting, timeout=_POLL_S)
                    for one in done:
                        self._outcome(one)
                        bar.advance()

    def _join(self) -> None:
        if self._ray.is_initialized():
            return
        threads = str(self.threads)
        runtime = {
            "env_vars": {
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "PYTHONPATH": os.pathsep.join(search_path()),
            }
        }
        joins = bool(os.environ.get("RAY_ADDRESS"))
        cores = None if joins or not self.workers else self.workers
        # A head may post what it knows of this machine to Ray's makers every hour. This version
        # starts none that does, but for nightly builds; others did.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # A dashboard is one more open port of a machine that holds private images.
        self._ray.init(
            num_cpus=None if cores is None else cores * self.threads,
            runtime_env=runtime,
            include_dashboard=None if joins else False,
            log_to_driver=False,
            logging_level="error",
        )
        self._started = True
        # Ray leaves its token readable by all.
        token = Path.home() / ".ray" / "auth_token"
        if token.is_file():
            token.chmod(0o600)

    def _outcome(self, reference: object) -> None:
        try:
            failed = self._ray.get(reference)
        except self._ray.exceptions.WorkerCrashedError as error:
            raise CacheError(
                "a worker died twice on the same work",
                fix="It may have run out of memory: use fewer workers or a smaller batch.",
            ) from error
        except self._ray.exceptions.RayError as error:
            raise CacheError(f"the cluster failed: {error}") from error
        if failed is not None:
            raise error_of(failed)


class _Probe:
    """A file in the cache that every node must see, or its entries would be lost."""

    def __init__(self, cache: Cache) -> None:
        self._path = cache.root / f"probe-{uuid.uuid4().hex}"

    def __enter__(self) -> str:
        self._path.touch()
        return str(self._path)

    def __exit__(self, *ignored: object) -> None:
        self._path.unlink(missing_ok=True)


def run_chain(cache: str, probe: str, chain: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """Run one chain in a worker of the cluster; what failed, or None."""
    import socket

    if not Path(probe).exists():
        return {
            "kind": "CacheError",
            "what": f"the node {socket.gethostname()!r} does not see the cache",
            "where": cache,
            "fix": "Set SUDARE_CACHE to a folder that every node has under the same path.",
        }
    keep_memory()
    try:
        for message in chain:
            execute(job_of(message), Cache(Path(cache)), Silent())
    except SudareError as error:
        kind = type(error).__name__
        return {"kind": kind, "what": error.what, "where": error.where, "fix": error.fix}
    except Exception:
        return {"kind": "", "what": traceback.format_exc()}
    return None
