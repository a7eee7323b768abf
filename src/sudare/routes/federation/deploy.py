"""Flower's processes: a server (SuperLink) with a job on it, and an owner's node (SuperNode)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from sudare.core.errors import ConfigError, DataError, SudareError
from sudare.core.files import atomic_write
from sudare.core.progress import Progress, Task
from sudare.routes.federation.job import JOB_FILE, Job, read_job
from sudare.routes.federation.keys import make_certificates, need_flower
from sudare.routes.federation.silo import STATEMENT_FILE

__all__ = [
    "AUTHORITY_FILE",
    "OwnersNode",
    "prepare_server",
    "run_owner",
    "run_server",
    "unused_port",
]

AUTHORITY_FILE = "ca.crt"
_CONNECTION = "job"
_START_S, _STOP_S, _POLL_S, _AGAIN_S = 60.0, 15.0, 0.3, 3.0
_NOT_YET = ("code: 2001", "code: 2004", "Errno 98")
"""What a node prints whose key is not taken, or not yet; a port taken meanwhile."""
_APP = {
    "pyproject.toml": """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "sudare-federation"
version = "1.0.0"
description = "A Sudare job; all code is in the sudare package that every party installed"
license = "Apache-2.0"
dependencies = []

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "sudare"

[tool.flwr.app.components]
serverapp = "sudare_job.apps:server_app"
clientapp = "sudare_job.apps:client_app"

[tool.flwr.app.config]
folder = ""
public = ""
""",
    "sudare_job/__init__.py": "",
    "sudare_job/apps.py": "from sudare.routes.federation.flower import client_app, server_app\n\n"
    '__all__ = ["client_app", "server_app"]\n',
}


def prepare_server(folder: Path, job: Job) -> None:
    """Certificates of a job's server, once; `ca.crt` beside the job file is for its owners."""
    server = folder / "server"
    server.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (server / "server.pem").exists():
        host, _ = _host_and_port(job.address)
        make_certificates(folder / AUTHORITY_FILE, server / "server.pem", host=host)


def run_server(folder: Path, *, public: str, progress: Progress) -> Path:
    """Serve a job until its release is written; a job that was cut off goes on.

    Args:
        folder: The job's folder: `job.toml`, `ca.crt`, `keys/OWNER.pub`.
        public: The source of public images on which owners are valued.
        progress: Where to report.

    Returns:
        The release.

    Raises:
        ConfigError: Keys are missing, or the port is in use.
        DataError: The job failed; it says why.
        MissingExtraError: Flower is not installed.
    """
    need_flower()
    job = read_job(folder / JOB_FILE)
    server = (folder / "server").resolve()
    release = server / "release"
    if release.exists():
        return release
    keys = {owner: folder / "keys" / f"{owner}.pub" for owner in job.owners}
    missing = [str(path) for path in keys.values() if not path.exists()]
    if missing:
        raise ConfigError(
            f"no public key of {len(missing)} owners",
            where=", ".join(missing),
            fix="Each owner makes one with sudare federate key OWNER and sends the .pub file.",
        )
    prepare_server(folder, job)
    for name in ("failure.txt", "waiting.txt"):
        (server / name).unlink(missing_ok=True)
    host, port = _host_and_port(job.address)
    if not _is_free(host, port):
        raise ConfigError(
            f"port {port} of {host} is in use",
            where=JOB_FILE,
            fix="End what holds it (an earlier server?), or agree on another address.",
        )
    environment = _environment(server / "flower")
    superlink: list[str | Path] = [
        *("flower-superlink", "--host", host, "--port", str(port)),
        *("--ssl-certfile", server / "server.pem", "--ssl-keyfile", server / "server.key"),
        *("--ssl-ca-certfile", folder.resolve() / AUTHORITY_FILE, "--enable-supernode-auth"),
        *("--disable-runtime-dependency-installation", "--database", server / "state.db"),
    ]
    with _process(superlink, environment, log=server / "superlink.log") as link:
        _until_healthy(link, job.address, folder / AUTHORITY_FILE, server / "superlink.log")
        _connect(server / "flower", job.address, folder.resolve() / AUTHORITY_FILE)
        _register(keys, server, environment)
        progress.say(f"Serving job {job.name} at {job.address}; owners may dial in.")
        _run_job(job, server, public, environment, progress)
    if not release.exists():
        reason = server / "failure.txt"
        raise DataError(
            reason.read_text() if reason.exists() else "the job ended without a release",
            where=str(server / "run.log"),
            fix="The same command goes on at the last whole round.",
        )
    return release


def _run_job(
    job: Job, server: Path, public: str, environment: Mapping[str, str], progress: Progress
) -> None:
    app = server / "app"
    for name, content in _APP.items():
        atomic_write(app / name, content)
    # A source that is a path is read by a process that starts elsewhere.
    source = str(Path(public).resolve()) if Path(public).exists() else public
    atomic_write(server / "run.toml", tomli_w.dumps({"folder": str(server), "public": source}))
    command: list[str | Path] = ["flwr", "run", app, _CONNECTION, "--stream"]
    command += ["-c", server / "run.toml"]
    with (
        _process(command, environment, log=server / "run.log") as run,
        progress.stage("rounds", job.federation.rounds) as bar,
    ):
        seen = 0
        while run.poll() is None:
            time.sleep(_POLL_S)
            seen = _report(server, seen, bar)
            # `flwr run --stream` stays on after a failure of the connection; the files do not lie.
            if (server / "failure.txt").exists():
                time.sleep(1)
                break
        _report(server, seen, bar)


def _report(server: Path, seen: int, bar: Task) -> int:
    rounds = len(list((server / "rounds").glob("[0-9]*.safetensors")))
    bar.advance(rounds - seen)
    waiting = server / "waiting.txt"
    if waiting.exists():
        names = waiting.read_text()
        bar.note(f"waiting for {names}" if names else "")
    return rounds


@dataclass(frozen=True, kw_only=True)
class OwnersNode:
    """What an owner brings to a job.

    Attributes:
        job: Its copy of the job file.
        owner: Its name in the job.
        data: A source, a folder or a file of images.
        key: Its private key.
        authority: The job's `ca.crt`.
        folder: Its own folder, for ledger and answers.
        server: HOST:PORT to dial, if not the job's.
        image_size: Resize images to squares of this side.
        max_epsilon: What its ledger may reach, if not the job's.
    """

    job: Path
    owner: str
    data: str
    key: Path
    authority: Path
    folder: Path
    server: str | None = None
    image_size: int | None = None
    max_epsilon: float | None = None


def run_owner(node: OwnersNode, *, progress: Progress) -> Path:
    """Answer a job's server until the owner has its statement.

    Returns:
        The statement.

    Raises:
        ConfigError: A file is missing, or the server is not the one it should be.
        DataError: Images that are not the job's.
        MissingExtraError: Flower is not installed.
    """
    need_flower()
    job, folder = _checked(node), node.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    statement = folder / job.name / STATEMENT_FILE
    if statement.exists():
        return statement
    settings: dict[str, str] = {
        "job": str(node.job.resolve()),
        "owner": node.owner,
        "data": str(Path(node.data).resolve()) if Path(node.data).exists() else node.data,
        "folder": str(folder),
    }
    if node.image_size is not None:
        settings["image-size"] = str(node.image_size)
    if node.max_epsilon is not None:
        settings["max-epsilon"] = str(node.max_epsilon)
    address, log = node.server or job.address, folder / "node.log"
    command: list[str | Path] = [
        *("flower-supernode", "--superlink", address, "--root-certificates"),
        *(node.authority.resolve(), "--auth-supernode-private-key", node.key.resolve()),
        *(
            "--host",
            "127.0.0.1",
            "--node-config",
            " ".join(f"{name}={json.dumps(v)}" for name, v in settings.items()),
        ),
    ]
    environment, seen = _environment(folder / "flower"), 0
    end = time.monotonic() + job.patience_s
    with progress.stage(f"rounds of {node.owner}", job.federation.rounds) as bar:
        while True:
            log.unlink(missing_ok=True)
            # Another port each time: the last one may have been taken meanwhile.
            here = [*command, "--port", str(unused_port())]
            with _process(here, environment, log=log) as process:
                while process.poll() is None and not statement.exists():
                    time.sleep(_POLL_S)
                    done = len(list((folder / job.name).glob("round-*.safetensors")))
                    if done > seen:
                        # Patience is for being let in; a job that goes on may take its time.
                        end = time.monotonic() + job.patience_s
                    bar.advance(done - seen)
                    seen = done
                if statement.exists():
                    # Its answer to the farewell is still on its way.
                    time.sleep(2)
                    return statement
            said = log.read_text(errors="replace")
            # The server may not know the key yet, or still count a crashed node as online.
            if not any(code in said for code in _NOT_YET) or time.monotonic() > end:
                raise ConfigError(_why(said, address), where=str(log))
            bar.note("waiting to be let in")
            time.sleep(_AGAIN_S)


def _checked(node: OwnersNode) -> Job:
    """The job, once all that would fail later was tried."""
    from sudare.data.sources.registry import load_source
    from sudare.routes.federation.silo import for_the_job

    job = read_job(node.job)
    job.index(node.owner)
    for path, what, fix in (
        (node.key, "there is no key", "Make one: sudare federate key."),
        (node.authority, "there is no certificate of the job", "Ask the server for its ca.crt."),
    ):
        if not path.exists():
            raise ConfigError(what, where=str(path), fix=fix)
    for_the_job(load_source(node.data, image_size=node.image_size).train, job)
    return job


def _why(log: str, address: str) -> str:
    """Why a node ended, from what it printed."""
    if "CERTIFICATE_VERIFY_FAILED" in log:
        return f"the server at {address} is not this job's: its certificate is not under ca.crt"
    if "Errno 98" in log:
        return "the node's port was taken meanwhile: try again"
    if any(code in log for code in _NOT_YET):
        return (
            f"the server at {address} does not take this key: it is not registered, or the owner "
            "is still thought to be online (wait a minute after a crash)"
        )
    return f"the node ended before the job at {address} was over"


def _register(keys: Mapping[str, Path], server: Path, environment: Mapping[str, str]) -> None:
    """Make owners' keys known, and keep which node is whose."""
    file = server / "nodes.json"
    known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    for owner, key in keys.items():
        if owner in known:
            continue
        said = subprocess.run(
            [
                *(_program("flwr"), "supernode", "register", str(key.resolve()), _CONNECTION),
                *("--name", owner, "--format", "json"),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_START_S,
            check=False,
        )
        found = re.search(r'"node-id":\s*"?(\d+)', said.stdout)
        if found is None:
            raise ConfigError(
                f"the key of {owner} was not taken", where=str(key), fix=said.stdout[-300:].strip()
            )
        known[owner] = int(found.group(1))
        atomic_write(file, json.dumps(known))


def _connect(home: Path, address: str, authority: Path) -> None:
    connection = {"address": address, "root-certificates": str(authority)}
    values = {"superlink": {"default": _CONNECTION, _CONNECTION: connection}}
    atomic_write(home / "config.toml", tomli_w.dumps(values))


def _until_healthy(link: subprocess.Popen[bytes], address: str, authority: Path, log: Path) -> None:
    context = ssl.create_default_context(cafile=authority)
    end = time.monotonic() + _START_S
    while time.monotonic() < end and link.poll() is None:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(
                f"https://{address}/health", context=context, timeout=5
            ) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(_POLL_S)
    raise SudareError("the server did not start", where=str(log))


@contextlib.contextmanager
def _process(
    command: Sequence[str | Path], environment: Mapping[str, str], *, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is asked to end with the block, and made to if it does not."""
    with log.open("ab") as file:
        log.chmod(0o600)
        process = subprocess.Popen(
            [_program(str(command[0])), *command[1:]],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for us; we then ask it to end.
            start_new_session=True,
        )
    # Asked to end, we end what we started first.
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        yield process
    finally:
        signal.signal(signal.SIGTERM, before)
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ended(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _environment(home: Path) -> dict[str, str]:
    """Flower's own settings: nothing is sent to its makers, its files stay in our folder."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "FLWR_HOME": str(home.resolve()),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "PYTHONUNBUFFERED": "1",
    }


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError:
            return False
    return True


def unused_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
