"""``sudare federate``: train where the data are, value what owners bring, say what is paid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from sudare.cli.federate_jobs import client, init, key, rehearse, server
from sudare.cli.options import Whole
from sudare.cli.running import run_and_report
from sudare.cli.statements import statements_text

app = App(
    name="federate",
    help="Federations: simulate one, run one over a network, read what its owners are told.",
)
for _command in (rehearse, init, key, server, client):
    app.command(_command)


@app.command
def simulate(
    *,
    data: str = "pneumonia",
    clients: Whole = 4,
    partition: str = "dirichlet:0.5",
    epsilon: float = 8.0,
    rounds: Whole = 20,
    score: str = "plis",
    rule: str = "shapley",
    budget: float = 1000.0,
    builds: Whole = 4,
    override: Annotated[tuple[str, ...], Parameter(name=["--set", "-s"])] = (),
    out: Path | None = None,
    workers: Whole | None = None,
    cache: Path | None = None,
    force: bool = False,
) -> int:
    """Train a federation in one process, value and pay its owners, and attack the common net.

    Each owner trains with record-level DP-SGD on its own images and sends noised updates; the
    whole federation is built several times on random halves and attacked as in `sudare compare`,
    with plain training beside it. The report of the run says what each owner brought, was paid
    and spent.

    Examples:
    `sudare federate simulate --clients 4 --partition dirichlet:0.5 --epsilon 8`

    `sudare federate simulate --data fashion-mnist --clients 6 --rounds 30 --score vog`

    Args:
        data: A source of `sudare data list`, a folder of images or an .npz file.
        clients: Owners, 2 to 10.
        partition: Who owns what: iid, dirichlet:ALPHA (classes differ) or quantity:ALPHA (sizes
            differ). A column `silo` of the collection goes first.
        epsilon: Of each owner's training, at delta 1e-5; 0 for no promise.
        rounds: Rounds of training and averaging.
        score: What records are scored by: plis, vog, loss, gradient-norm or random.
        rule: Who gets what: equal, size, score-mean, score-sum, shapley or leave-one-out.
        budget: What is divided.
        builds: Whole federations, even; 16 for a real audit.
        override: A value by dotted name; the federation is routes.1.
        out: Run folder; runs/federation-DATA by default.
        workers: Processes; one per core by default.
        cache: Where builds are kept; $SUDARE_CACHE or ~/.cache/sudare.
        force: Replace a run of another configuration in that folder.

    Returns:
        0, or 2 after an error.
    """
    from sudare.audits.config import apply_overrides, load_config
    from sudare.cli.options import with_options
    from sudare.core.progress import auto

    net = {"name": "convnet", "width": 16}
    federation: dict[str, Any] = {
        "kind": "federation",
        "net": net,
        "clients": clients,
        "partition": partition,
        "rounds": rounds,
        "valuation": {"score": score, "rule": rule, "budget_cents": round(100 * budget)},
    }
    if epsilon:
        federation["privacy"] = {"target_epsilon": epsilon}
    else:
        # Without clipping the rate that suits clipped gradients diverges.
        federation |= {"privacy": None, "recipe": {"lr": 0.1, "momentum": 0.0}}
    values: dict[str, Any] = {
        "title": f"A federation of {clients} owners",
        "data": {"source": data, "pool": 2000, "population": 1000, "public": 500, "fit": True},
        "fleet": {"builds": builds},
        "routes": [{"kind": "plain", "net": net}, federation],
    }
    config = load_config(
        apply_overrides(with_options(values, {"fleet.workers": workers}), override)
    )
    folder = out or Path("runs") / f"federation-{Path(data).stem}"
    progress = auto()
    _, paths = run_and_report(config, folder, cache=cache, force=force, progress=progress)
    name = config.routes[1].name
    progress.say(statements_text(folder / "releases" / name))
    progress.say(f"\nInternal report: {paths.internal}\nPublic report:   {paths.public}")
    return 0


@app.command
def pay(release: Path) -> int:
    """Print what each owner of a federation is told: what it is paid, why, and how sure that is.

    Examples:
    `sudare federate pay runs/federation-pneumonia/releases/federation-4-eps8`

    Args:
        release: A release of kind federation.

    Returns:
        0, or 2 after an error.
    """
    from sudare.core.progress import auto

    auto().say(statements_text(release))
    return 0
