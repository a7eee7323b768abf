"""``sudare federate init|key|server|client|rehearse``: a federation over a network."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from sudare.cli.options import Whole
from sudare.cli.statements import statement_text, statements_text


def init(
    folder: Path,
    *,
    owners: str,
    public: str,
    address: str = "127.0.0.1:8000",
    epsilon: float = 8.0,
    rounds: Whole = 20,
    local_steps: Whole = 5,
    budget: float = 1000.0,
    spare_rounds: Whole = 2,
    seed: Whole | None = None,
    override: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"])] = (),
) -> int:
    """Write down what owners and a server agree on, and make the server's certificate.

    `FOLDER/job.toml` and `FOLDER/ca.crt` are for everybody; `FOLDER/server/` stays on the server.
    Owners train, clip and noise by their copy of `job.toml` and never by a message.

    Examples:
    `sudare federate init my-job --owners north,south,east --public digits`

    Args:
        folder: Where the job lies; its name is the job's.
        owners: Their names, with commas.
        public: Public images, for classes, shape, and to value owners on.
        address: HOST:PORT that owners dial.
        epsilon: Of each owner's training, at delta 1e-5; 0 for no promise.
        rounds: Rounds of training and averaging.
        local_steps: Steps of each owner in a round.
        budget: What is divided.
        spare_rounds: Rounds that may be cut off and taken again within an owner's budget.
        seed: Rehearsals only: the noise follows from it, so nothing is promised.
        override: A value of the job by dotted name, such as federation.net.width=32 or
            most_records=50000, the most an owner may have.

    Returns:
        0, or 2 after an error.
    """
    from sudare.audits.config import apply_overrides
    from sudare.core.errors import ConfigError
    from sudare.core.progress import auto
    from sudare.data.sources.registry import load_source
    from sudare.routes.federation.job import JOB_FILE, agreed, write_job
    from sudare.routes.federation.serving import AUTHORITY_FILE, prepare_server

    if (folder / JOB_FILE).exists():
        raise ConfigError("there is a job already", where=str(folder), fix="Choose another folder.")
    shown = load_source(public).train
    names = [name.strip() for name in owners.split(",") if name.strip()]
    values: dict[str, Any] = {
        "name": folder.resolve().name,
        "owners": names,
        "class_names": list(shown.class_names),
        "image_shape": list(shown.image_shape),
        "address": address,
        "federation": {
            "kind": "federation",
            "net": {"name": "convnet", "width": 16},
            "clients": len(names),
            "rounds": rounds,
            "local_steps": local_steps,
            "valuation": {"budget_cents": round(100 * budget)},
        },
    }
    if epsilon:
        values["federation"]["privacy"] = {"target_epsilon": epsilon}
    else:
        values["federation"] |= {"privacy": False, "recipe": {"lr": 0.1, "momentum": 0.0}}
    if seed is not None:
        values["seed"] = seed
    job = agreed(apply_overrides(values, override), spare_rounds=spare_rounds)
    write_job(job, folder / JOB_FILE)
    prepare_server(folder, job)
    (folder / "keys").mkdir(exist_ok=True)
    promise = (
        "No privacy is promised."
        if job.max_epsilon is None
        else f"An owner's ledger ends at epsilon {job.max_epsilon:.2f} "
        f"(noise {job.noise_multiplier:.2f} a step, {spare_rounds} spare rounds)."
    )
    auto().say(
        f"Job:  {folder / JOB_FILE}\n{promise}\n"
        f"Give every owner {JOB_FILE} and {AUTHORITY_FILE}. Each makes a key (sudare federate key "
        f"OWNER) and sends OWNER.crt, which goes to {folder / 'keys'}."
    )
    return 0


def key(path: Path) -> int:
    """Make an owner's key: PATH stays with the owner, its certificate PATH.crt goes to the server.

    Examples:
    `sudare federate key my-keys/north`

    Args:
        path: The private file; its name should be the owner's.

    Returns:
        0, or 2 after an error.
    """
    from sudare.core.progress import auto
    from sudare.routes.federation.keys import fingerprint, make_key

    public = make_key(path)
    auto().say(
        f"For the owner alone: {path}\nFor the server:      {public}\n"
        f"Compare with who runs the server: {fingerprint(public.read_bytes())}"
    )
    return 0


def server(folder: Path, *, public: str, listen: str = "") -> int:
    """Serve a job until its release is written; the same command goes on after an interruption.

    Only owners get in: both sides prove themselves by certificates before a byte is read. The
    server reads no private image; what it gets are updates, a noised number of records and a
    noised mean score, each held against the range an honest owner stays in. One process, one port,
    and nothing on it but two calls of owners: what is wanted, and the answer.

    Examples:
    `sudare federate server my-job --public digits`

    Args:
        folder: The job's folder, with every owner's certificate in `keys/`.
        public: Public images on which owners are valued.
        listen: HOST:PORT to listen on, such as 0.0.0.0:8000; the address owners dial by default.

    Returns:
        0, or 2 after an error.
    """
    from sudare.core.progress import auto
    from sudare.routes.federation.serving import run_server

    progress = auto()
    release = run_server(folder, public=public, progress=progress, listen=listen)
    progress.say(statements_text(release))
    progress.say(f"\nRelease: {release}")
    return 0


def client(
    job: Path,
    *,
    owner: str,
    data: str,
    key: Path,
    ca: Path,
    folder: Path | None = None,
    server: str | None = None,
    image_size: Whole | None = None,
    limit_epsilon: float | None = None,
    yes: bool = False,
) -> int:
    """Take part in a job with your own images, until you have your statement.

    Shows whom you talk to, what leaves and what it costs your images' privacy, and asks before
    anything is sent. Images stay where they are, and nothing that arrives is run: a question is a
    number and weights. Each answer is paid for in `ledger.jsonl` before it is computed; the ledger
    refuses what would overspend, also after a crash or where an older copy of it is put back.

    Examples:
    `sudare federate client job.toml --owner north --data north.npz --key north --ca ca.crt`

    Args:
        job: Your copy of the job file.
        owner: Your name in it.
        data: Your images: a source, a folder or an .npz file.
        key: Your private key.
        ca: The job's certificate.
        folder: Your own folder for ledger and answers; federation-OWNER by default.
        server: HOST:PORT to dial, if not the job's.
        image_size: Resize images to squares of this side, in pixels.
        limit_epsilon: What your ledger may reach, over all jobs that use this folder.
        yes: Agree to the terms without being asked, for services.

    Returns:
        0, or 2 after an error.
    """
    from sudare.core.progress import auto
    from sudare.releases.kinds.federation import Statement
    from sudare.routes.federation.job import read_job
    from sudare.routes.federation.joining import OwnersPart, run_owner

    progress = auto()
    statement = run_owner(
        OwnersPart(
            job=job,
            owner=owner,
            data=data,
            key=key,
            authority=ca,
            folder=folder or Path(f"federation-{owner}"),
            server=server,
            image_size=image_size,
            limit_epsilon=limit_epsilon,
        ),
        agrees=lambda terms: _agrees(terms, yes=yes),
        progress=progress,
    )
    told = Statement.model_validate_json(statement.read_text())
    progress.say(statement_text(told, rule=read_job(job).federation.valuation.rule))
    return 0


def _agrees(terms: str, *, yes: bool) -> bool:
    """Show terms and ask, unless the answer was given with the command.

    Raises:
        ConfigError: Nobody is there to be asked.
    """
    from sudare.core.errors import ConfigError
    from sudare.core.progress import auto

    auto().say(terms)
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError(
            "nobody is here to agree to this; nothing was sent",
            fix="Read the terms above; give --yes if they are what you want.",
        )
    return input("Take part? [y/N] ").strip().lower() in ("y", "yes")


def rehearse(
    folder: Path,
    *,
    data: str = "digits",
    owners: str = "north,south,east",
    partition: str = "dirichlet:2",
    epsilon: float = 8.0,
    rounds: Whole = 3,
    seed: Whole | None = None,
    override: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"])] = (),
) -> int:
    """The whole of a job on this machine: a server and every owner as processes of their own.

    A collection is divided among the owners, a fifth of it stays public, keys and certificates
    are made, and all meet on loopback over TLS as they would on a network.

    Examples:
    `sudare federate rehearse my-rehearsal --data digits --rounds 3`

    Args:
        folder: Where everything goes.
        data: A source of `sudare data list`, a folder of images or an .npz file.
        owners: Their names, with commas.
        partition: Who owns what: iid, dirichlet:ALPHA or quantity:ALPHA.
        epsilon: Of each owner's training, at delta 1e-5; 0 for no promise.
        rounds: Rounds of training and averaging.
        seed: The noise follows from it: the same model again, and nothing is promised.
        override: A value of the job by dotted name.

    Returns:
        0, or 2 after an error.
    """
    from sudare.core.progress import auto
    from sudare.data.sources.registry import load_source
    from sudare.routes.federation.keys import need_network
    from sudare.routes.federation.rehearsal import divide, run_rehearsal, unused_port

    # Before a folder of images is written that the second try would find there.
    need_network()
    progress = auto()
    names = [name.strip() for name in owners.split(",") if name.strip()]
    public = divide(load_source(data).train, folder, names, partition=partition)
    name = re.sub("[^A-Za-z0-9]+", "-", folder.resolve().name).strip("-") or "rehearsal"
    status = init(
        folder / "job",
        owners=owners,
        public=str(public),
        address=f"127.0.0.1:{unused_port()}",
        epsilon=epsilon,
        rounds=rounds,
        seed=seed,
        override=(f"name='{name[:40]}'", *override),
    )
    if status == 0:
        status = run_rehearsal(folder, names, progress=progress)
    return status
