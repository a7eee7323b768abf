"""What was declared to be measured of a release, before anything was: what a decision asks for."""

from __future__ import annotations

from sudare.attacks.registry import make_test
from sudare.audits.checks.membership import primary_for, threat_of
from sudare.audits.checks.registry import make_check
from sudare.audits.config import RunConfig
from sudare.audits.decisions.case import Subject
from sudare.core.runs import DataSummary, Mode, ReleaseSummary
from sudare.core.threats import ThreatModel
from sudare.releases.registry import kind_class


def subject_of(
    planned: ReleaseSummary,
    config: RunConfig,
    mode: Mode,
    data: DataSummary,
    *,
    guarantee: str,
    reference: str,
) -> Subject:
    """The subject of a decision.

    Args:
        planned: The release.
        config: The run.
        mode: What was asked.
        data: The collection in counts.
        guarantee: What its card claims; empty if nothing.
        reference: Name of the plain net of the run; empty where none is planned.
    """
    kind = kind_class(planned.kind)
    attacks: dict[str, ThreatModel] = {}
    for name in config.attacks.membership:
        test = make_test(name, config.attacks.settings.get(name, {}))
        attacks[test.id] = threat_of(test, planned.kind)
    primary = f"membership.{primary_for(config, planned.kind)}"
    if config.attacks.primary not in config.attacks.membership:
        # Scores that somebody else computed are one attack, and no test of ours.
        attacks = {primary: kind.scores_as}
    inverted = False
    for check in config.checks:
        made = make_check(check)
        if not made.not_for(kind):
            attacks |= made.attacks(kind)
            inverted |= check.kind == "inversion"
    seen = config.threat.sees
    return Subject(
        release=planned.name,
        kind=planned.kind,
        mode=mode,
        attacks=tuple(name for name, sees in attacks.items() if not seen or sees in seen),
        primary=primary,
        holds_items=kind.holds_images,
        shows_set=kind.set_as is not None,
        holds_ranges=not kind.in_pixels,
        claims=bool(guarantee),
        per_unit=data.pool == data.pool_units,
        planted=tuple(dict.fromkeys(text.partition(":")[0] for text in config.audit.canaries)),
        inverted=inverted,
        reference=reference,
        classes=len(data.class_names),
        builds=planned.builds_planned,
    )
