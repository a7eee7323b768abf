"""Whether the parts of an evidence folder are of one run: each held against all the others.

Figures are recomputed from arrays (`verify`). That says nothing of a release, a build, a check or
a card that was left out or exchanged together with its figures; these are found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from sudare.accounting.claims import wrong_claims
from sudare.audits.checks.built_in import checks_of
from sudare.audits.checks.jobs import applicable
from sudare.audits.config import RunConfig
from sudare.audits.evidence import Evidence, agreed_on, commitment
from sudare.core.errors import SudareError
from sudare.core.figures import figure_of
from sudare.core.findings import SCHEMA, Finding, Findings, Status
from sudare.core.hashing import hash_json
from sudare.core.seeds import integer_seed
from sudare.data.canaries import parse_canaries
from sudare.data.plan import draw_plan
from sudare.fleets.builds import builds_of
from sudare.routes.config import PlannedRelease, RouteConfig

CANARIES = ".canaries-"
"""Between a release's name and a kind of planted images, in the name of their evidence."""
_Planned: TypeAlias = dict[str, tuple[RouteConfig, PlannedRelease]]


def unrecomputed(findings: Sequence[Finding]) -> str:
    """Digest of all figures that nobody recomputes, as the manifest holds it."""
    return hash_json([f.model_dump(mode="json") for f in findings if not recomputable(f)])


def opens(evidence: Evidence, config: RunConfig, published: str) -> bool:
    """Whether membership, labels and configuration are those committed to before the first build.

    Args:
        evidence: One release's.
        config: The run's.
        published: The commitment.
    """
    members = evidence.membership
    plan = members if evidence.plan is None else evidence.plan
    if not np.array_equal(plan[: len(members)], members):
        return False
    agreed = agreed_on(config, units=evidence.units, pool=evidence.pool, test=evidence.test)
    return commitment(plan, evidence.nonce, agreed) == published


def contradictions(
    config: RunConfig,
    printed: Findings,
    evidence: Mapping[str, Evidence],
    *,
    planted: Mapping[str, Evidence],
    committed: bool,
) -> list[str]:
    """What does not fit together, a sentence each; empty where all is of one run.

    Args:
        config: The run's configuration.
        printed: Its findings.
        evidence: By release.
        planted: Evidence of planted images, by release and kind.
        committed: Whether there is a commitment: an audit of one artefact has none.
    """
    found = []
    if printed.schema_name != SCHEMA:
        found.append(f"the findings have schema {printed.schema_name!r}, not {SCHEMA!r}")
    found += _of_one_run(evidence)
    planned: _Planned = {
        release.name: (route, release) for route in config.routes for release in route.releases
    }
    for name, of_release in evidence.items():
        claims = wrong_claims(of_release.card.ledger, of_release.card.guarantee)
        found += [f"{name}: {text}" for text in claims]
        found += [f"{name}: {text}" for text in _checks(config, of_release, printed)]
        if of_release.subject.name != name:
            found.append(f"{name}: the file is of {of_release.subject.name!r}")
    if committed:
        found += _compared(config, planned, evidence, printed)
        found += _canaries(config, planned, evidence, planted)
    else:
        found += [f"{name}: images were planted in an artefact" for name in planted]
        found += _artefact(config, planned, evidence)
    return found


def shown_absent(config: RunConfig, evidence: Mapping[str, Evidence]) -> dict[str, str]:
    """Planned releases without evidence whose reason the evidence itself shows."""
    found: dict[str, str] = {}
    some = next(iter(evidence.values()), None)
    for route in config.routes:
        for release in route.releases:
            if release.name in evidence or some is None:
                continue
            members = some.membership if some.plan is None else some.plan
            counts = [
                np.bincount(some.pool.classes[row], minlength=len(some.pool.class_names)).min()
                for row in members[: builds_of(route, len(members))]
            ]
            if route.wanted_of_each_class > min(counts):
                found[release.name] = (
                    f"a class has {min(counts)} images in a build, "
                    f"{route.wanted_of_each_class} are wanted"
                )
    return found


def _of_one_run(evidence: Mapping[str, Evidence]) -> Iterator[str]:
    """Whether all releases were measured on one pool and one test set, under one nonce."""
    first = next(iter(evidence.values()), None)
    for name, other in evidence.items():
        assert first is not None
        for what, same in (
            ("units", np.array_equal(first.units, other.units)),
            ("labels", np.array_equal(first.pool.classes, other.pool.classes)),
            ("groups", _equal(first.pool.groups, other.pool.groups)),
            ("class names", first.pool.class_names == other.pool.class_names),
            ("test labels", np.array_equal(first.test.classes, other.test.classes)),
            ("the nonce", first.nonce == other.nonce),
        ):
            if not same:
                yield f"{name}: {what} of another run than the other releases'"


def _equal(one: np.ndarray | None, two: np.ndarray | None) -> bool:
    return one is two or (one is not None and two is not None and np.array_equal(one, two))


def _compared(
    config: RunConfig, planned: _Planned, evidence: Mapping[str, Evidence], printed: Findings
) -> Iterator[str]:
    """A comparison: every planned release with every planned build, drawn from the seed."""
    shown = shown_absent(config, evidence)
    failed = {f.release for f in printed.findings if f.status is Status.FAILED}
    for name in planned.keys() - evidence.keys():
        if name not in shown:
            yield f"{name} was planned, and there is no evidence of it nor of why it is absent"
        elif name not in failed:
            yield f"{name} could not be built ({shown[name]}), and the findings do not say so"
    for name in evidence.keys() - planned.keys():
        yield f"{name} is not planned by the configuration"
    for name in sorted({f.release for f in printed.findings} - planned.keys()):
        yield f"{name} has figures and is not planned by the configuration"
    for name, found in evidence.items():
        if name in planned:
            yield from (f"{name}: {text}" for text in _as_planned(config, *planned[name], found))


def _as_planned(
    config: RunConfig, route: RouteConfig, release: PlannedRelease, found: Evidence
) -> Iterator[str]:
    builds = config.fleet.builds
    if found.target is not None:
        yield "it is said to be one artefact of a run that compares"
    subject = (found.subject.kind, found.subject.label)
    if subject != (route.kind, release.label):
        yield f"it is called {subject}, and planned as {(route.kind, release.label)}"
    if (found.card.route, found.card.kind) != (route.kind, release.kind):
        yield "its card is of another route or kind than is planned"
    wanted = builds_of(route, builds)
    if len(found.membership) != wanted:
        yield f"{len(found.membership)} builds, and {wanted} were planned"
    plan = found.membership if found.plan is None else found.plan
    if len(plan) != builds:
        yield f"a plan of {len(plan)} builds, and {builds} were configured"
    elif not _draws(plan, found, config.seed):
        yield "the membership is not what the configuration's seed draws"


def _draws(plan: np.ndarray, found: Evidence, seed: int) -> bool:
    """Whether a seed draws this plan for the evidence's units and labels."""
    try:
        drawn = draw_plan(found.units, found.pool.classes, builds=len(plan), seed=seed)
    except SudareError:
        return False
    return np.array_equal(drawn.membership, plan)


def _canaries(
    config: RunConfig,
    planned: _Planned,
    evidence: Mapping[str, Evidence],
    planted: Mapping[str, Evidence],
) -> Iterator[str]:
    """Every kind of planted image in every release, in builds that the seed draws."""
    kinds = [parse_canaries(text).kind for text in config.audit.canaries]
    expected = {f"{name}{CANARIES}{kind}": (name, kind) for name in evidence for kind in kinds}
    for stem in sorted(expected.keys() - planted.keys()):
        yield f"{stem}: images were planted, and there is no evidence of it"
    for stem in sorted(planted.keys() - expected.keys()):
        yield f"{stem}: no such images were planted by the configuration"
    for stem, (name, kind) in expected.items():
        found = planted.get(stem)
        if found is None or name not in planned:
            continue
        members, route = found.membership, planned[name][0]
        if found.subject.name != name or found.card != evidence[name].card:
            yield f"{stem}: it is of another release"
        seed = integer_seed(config.seed, "canaries", str(kind))
        wanted = builds_of(route, config.fleet.builds)
        if len(members) != wanted or not _draws(members, found, seed):
            yield f"{stem}: the builds are not those that the configuration's seed draws"


def _artefact(
    config: RunConfig, planned: _Planned, evidence: Mapping[str, Evidence]
) -> Iterator[str]:
    """An audit of one artefact: itself and its shadows, or itself alone."""
    if len(evidence) != 1:
        yield f"{len(evidence)} releases without a commitment; only one artefact has none"
        return
    ((name, found),) = evidence.items()
    rows = config.fleet.builds + 2 if planned else None
    if planned and name not in planned:
        yield f"{name} is not planned by the configuration"
    if found.target is None:
        yield f"{name}: no commitment, and it is not said to be an artefact"
    elif rows is not None and (len(found.membership), found.target) != (rows, rows - 2):
        yield f"{name}: {len(found.membership)} rows, and {rows} were planned"
    elif rows is not None and not _draws(found.membership[:-2], found, config.seed):
        yield f"{name}: the shadows' membership is not what the configuration's seed draws"


def _checks(config: RunConfig, found: Evidence, printed: Findings) -> Iterator[str]:
    """Every check that applies was measured, on as many builds as it asks for."""
    fits = applicable(checks_of(config), found.card.kind)
    asked = {check.kind: check for check, reason in fits.items() if not reason}
    for kind, check in asked.items():
        arrays = found.checks.get(kind)
        if not arrays:
            yield f"check {kind} was configured, and there is no evidence of it"
            continue
        builds = len(found.membership) if found.target is None or check.of_shadows else 1
        wanted = min(check.builds or builds, builds)
        if any(np.ndim(values) < 1 or len(values) != wanted for values in arrays.values()):
            yield f"check {kind} was planned on {wanted} builds, and the evidence has others"
    for kind in found.checks.keys() - asked.keys():
        yield f"check {kind} was not configured, and there is evidence of it"
    yield from _unrecomputed(found, printed)


def _unrecomputed(found: Evidence, printed: Findings) -> Iterator[str]:
    """What cannot be recomputed is there."""
    ids = {
        f.id.partition(".")[0]
        for f in printed.findings
        if f.release == found.subject.name and not recomputable(f)
    }
    if "cost" not in ids:
        yield "figures cost.* are missing, and the evidence says otherwise"


def recomputable(finding: Finding) -> bool:
    """Whether a third party can compute a figure again from the evidence."""
    figure = figure_of(finding.id)
    return figure is None or figure.recomputable
