"""Audits DP-SGD itself: train once with canaries inside, and ask what they prove of epsilon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sudare.attacks.membership.dirac import DiracCanaries, MechanismAudit, audit_mechanism
from sudare.audits.config import RunConfig
from sudare.audits.site import prepare_run
from sudare.core.errors import ConfigError
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.routes.config import TrainedConfig
from sudare.training.recipe import DpConfig

if TYPE_CHECKING:
    from sudare.accounting.ledger import LedgerEntry


def private_route(config: RunConfig, name: str = "") -> tuple[TrainedConfig, DpConfig]:
    """The route of this name, or the first that trains with DP-SGD, and its budget.

    Raises:
        ConfigError: There is none.
    """
    private = {
        route.name: (route, budget)
        for route in config.routes
        if isinstance(route, TrainedConfig)
        and isinstance(budget := getattr(route, "privacy", None), DpConfig)
    }
    if not private or (name and name not in private):
        known = ", ".join(private) or "none"
        raise ConfigError(
            f"no route {name!r} trains with DP-SGD" if name else "no route trains with DP-SGD",
            where="routes",
            fix=f"Routes of this run that do: {known}.",
        )
    return private[name] if name else next(iter(private.values()))


def audit_route(
    config: RunConfig, name: str, *, canaries: int, progress: Progress
) -> MechanismAudit:
    """Train a DP-SGD route once on the whole pool, with canaries, and bound epsilon from below.

    Canaries take part in sampling, clipping and noise like images; the model that comes out
    is thrown away.

    Args:
        config: A run; its data, seed and device.
        name: Name of a release that DP-SGD trains; the first if empty.
        canaries: How many coordinates are watched.
        progress: Where to report.

    Raises:
        ConfigError: No such route.
        AuditError: More canaries than the net has weights.
    """
    from sudare.nets import build as build_net
    from sudare.training.dpsgd import sample_rate, train_private
    from sudare.training.loop import TrainingData

    route, budget = private_route(config, name)
    run = prepare_run(config, progress=progress)
    pool, device = run.split.pool, run.device
    net = build_net(
        route.net,
        image_shape=pool.image_shape,
        n_classes=pool.n_classes,
        seed=integer_seed(config.seed, "mechanism", "weights"),
    ).to(device)
    data = TrainingData.of(pool.images, pool.classes, device=device)
    watched = DiracCanaries(
        canaries,
        max_grad_norm=budget.max_grad_norm,
        expected_batch=max(1, round(sample_rate(route.recipe.batch_size, len(pool)) * len(pool))),
        seed=integer_seed(config.seed, "mechanism", "canaries"),
    )

    def train(observer: DiracCanaries) -> LedgerEntry:
        _, entry = train_private(
            net,
            data,
            route.recipe,
            budget,
            seed=integer_seed(config.seed, "mechanism", "training"),
            progress=progress,
            label=f"{route.label} with {canaries:,} canaries",
            observer=observer,
        )
        return entry

    return audit_mechanism(train, watched, records=len(pool))


def describe_audit(audit: MechanismAudit) -> str:
    """What was proved, in lines; the first says it in one."""
    verdict = (
        "REFUTED: the training leaks more than it claims, or samples otherwise"
        if audit.refuted
        else "not refuted: nothing here contradicts the claim, which is no proof of it"
    )
    return "\n".join(
        [
            verdict,
            f"claimed epsilon at delta {audit.delta:g}: {audit.claimed:.3g}",
            f"proved at {audit.level:.0%} by one run, whatever the mechanism: at least "
            f"{audit.one_run:.3g} (these guesses could prove {audit.one_run_ceiling:.3g} at most)",
            f"proved if the noise is Gaussian: at least {audit.gaussian:.3g} by thresholds, "
            f"{audit.gaussian_one_run:.3g} by the guesses of one run",
            f"Poisson sampling: p = {audit.sampling.batch_p:.3g} for batch sizes, "
            f"{audit.sampling.inclusion_p:.3g} for inclusions",
        ]
    )
