"""A job on one machine: one collection divided, and every party a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sudare.core.errors import ConfigError, DataError
from sudare.core.parents import started_child
from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.routes.federation.keys import make_key
from sudare.routes.federation.partition import silos_of

_PUBLIC_SHARE = 5


def divide(data: ImageDataset, folder: Path, owners: Sequence[str], *, partition: str) -> Path:
    """Write each owner's images, and every fifth unit's as public ones.

    Returns:
        The public file.

    Raises:
        ConfigError: The folder has a job already.
        DataError: An owner has no image.
    """
    if (folder / "job").exists():
        raise ConfigError(
            "there is a rehearsal already", where=str(folder), fix="Choose another folder."
        )
    public = data.unit % _PUBLIC_SHARE == 0
    silos = silos_of(data, clients=len(owners), partition=partition)
    if data.silo_names:
        # Each owner holds the images that are named after them, in whatever order they are given.
        if set(owners) != set(data.silo_names):
            raise ConfigError(
                f"the column `silo` names {', '.join(data.silo_names)}, the owners are "
                f"{', '.join(owners)}",
                where="--owners",
                fix=f"Give --owners {','.join(data.silo_names)}.",
            )
        silos = np.array([owners.index(name) for name in data.silo_names])[silos]
    for name, rows in [
        ("public", public),
        *((owner, ~public & (silos == index)) for index, owner in enumerate(owners)),
    ]:
        if not rows.any():
            raise DataError(f"{name} has no image", fix="Take fewer owners or a flatter partition.")
        part = data[rows]
        place = folder / "images" / f"{name}.npz"
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        np.savez_compressed(
            place,
            images=part.images,
            labels=part.classes,
            unit=part.unit,
            class_names=np.array(part.class_names),
        )
    return folder / "images" / "public.npz"


def run_rehearsal(folder: Path, owners: Sequence[str], *, progress: Progress) -> int:
    """Start the owners, serve the job, wait for all; the server's exit status.

    Server and owners end with this process, however it ends.
    """
    job = folder / "job"
    base = [sys.executable, "-P", "-m", "sudare", "federate"]
    # A rehearsal's ledgers are made up; they are forgotten with its folder.
    here = {"SUDARE_STATE": str((folder / "state").resolve())}
    (job / "keys").mkdir(exist_ok=True)
    for owner in owners:
        public = make_key(folder / owner / "key")
        (job / "keys" / f"{owner}.crt").write_bytes(public.read_bytes())
    clients: list[subprocess.Popen[bytes]] = []
    serving = started_child(
        [*base, "server", str(job), "--public", str(folder / "images" / "public.npz")],
        environment=here,
    )
    try:
        for owner in owners:
            with (folder / owner / "client.log").open("wb") as log:
                (folder / owner / "client.log").chmod(0o600)
                clients.append(
                    started_child(
                        [
                            *(*base, "client", str(job / "job.toml"), "--owner", owner, "--yes"),
                            *("--data", str(folder / "images" / f"{owner}.npz")),
                            *("--key", str(folder / owner / "key")),
                            *("--ca", str(job / "ca.crt"), "--folder", str(folder / owner)),
                        ],
                        stdout=log,
                        stderr=log,
                        environment=here,
                    )
                )
        status = serving.wait()
        for owner, process in zip(owners, clients, strict=True):
            if status == 0 and process.wait(60) == 0:
                progress.say(f"Ledger of {owner}: {folder / owner / 'ledger.jsonl'}")
    finally:
        for process in [serving, *clients]:
            if process.poll() is None:
                process.terminate()
                process.wait()
    return status


def unused_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
