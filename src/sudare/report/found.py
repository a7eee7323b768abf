"""What a run found and what that means for the choice, from findings only.

A difference whose intervals overlap is one the run cannot tell; no sentence claims more than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sudare.core import Finding, Status
from sudare.core.runs import Mode
from sudare.core.wording import listed, reworded, say, together
from sudare.report.formats import short_estimate, value_text
from sudare.report.load import Interval, Run, interval, tells_membership
from sudare.report.text import attack_name, canary_name, finding_name, sees

MOST_NAMES = 4
"""The verdict is read aloud in meetings; the table has all names."""
_GIVEN_SCORES = "membership.given"
# Attacks that ran; one that does not apply was not asked.
_NO_FIGURE = (Status.UNRESOLVABLE, Status.FAILED)
_NEARLY_ALWAYS, _MOSTLY = 0.95, 0.8


@dataclass(frozen=True, kw_only=True)
class MeasuredRelease:
    """A release whose primary attack came to an end."""

    name: str
    label: str
    leakage: Finding
    auc: Interval
    utility: Finding | None
    utilities: Mapping[str, Finding]
    shows_members: bool
    betrayed: bool
    attack: str
    stronger: Finding | None
    worst: Finding | None

    def leaks_less_than(self, other: MeasuredRelease) -> bool:
        """Whether the intervals are apart and this one is the lower."""
        return self.auc.high < other.auc.low


def measured_releases(run: Run) -> list[MeasuredRelease]:
    """Every release that has a figure for its primary attack, in the run's order."""
    measured = []
    for name in run.releases:
        leakage = run.leakage(name)
        auc = interval(leakage)
        if leakage is not None and auc is not None:
            measured.append(
                MeasuredRelease(
                    name=name,
                    label=run.label(name),
                    leakage=leakage,
                    auc=auc,
                    utility=run.utility(name),
                    utilities=run.utilities(name),
                    shows_members=run.shows_members(name),
                    betrayed=run.bounds_leak(name) is not None,
                    attack=attack_name(run.primary_attack(name)),
                    stronger=_stronger(run, name, auc),
                    worst=run.get(f"{run.primary_attack(name)}.worst_case", name),
                )
            )
    return measured


def found_and_meant(run: Run, releases: Sequence[MeasuredRelease]) -> tuple[str, str]:
    """What was found, and what it means."""
    mode = run.summary.mode
    unresolved = _untold(run)
    if unresolved and not releases:
        return unresolved, say("means_untold")
    if mode is Mode.COMPARISON or not releases:
        return together([_found(run, releases), unresolved]), _means(releases)
    if only_scores(run):
        return together([_about_scores(release) for release in releases]), say("means_scores")
    return _found(run, releases), say(f"means_{mode.value}")


def null_found_and_meant(releases: Sequence[MeasuredRelease]) -> tuple[str, str]:
    """What a run whose membership was redrawn found: how many intervals include guessing."""
    outside = [r.label for r in releases if not r.auc.low <= 0.5 <= r.auc.high]
    inside = len(releases) - len(outside)
    found = [say("found_null", count=len(releases), inside=inside)]
    if outside:
        found.append(say("found_null_outside", names=listed(outside, most=MOST_NAMES)))
    return together(found), say("means_null")


def only_scores(run: Run) -> bool:
    """Whether somebody else's scores were judged, and no model was seen."""
    return _GIVEN_SCORES in run.summary.primary.values()


def tries_of(share: float) -> str:
    """An AUC as right answers of a hundred."""
    return f"{100 * share:.0f}"


def _about_scores(release: MeasuredRelease) -> str:
    if release.auc.high < 0.5:
        return _about("found_scores_below", release)
    return _about("found_scores" if release.auc.low > 0.5 else "found_scores_chance", release)


def _found(run: Run, releases: Sequence[MeasuredRelease]) -> str:
    if not releases:
        return say("found_none")
    # Whatever an attack says: a release that holds private images comes first.
    copies = [release.label for release in releases if release.shows_members]
    sentences = [say("means_copies", names=listed(copies))] if copies else []
    for release in releases:
        if (pair := run.bounds_leak(release.name)) is not None:
            members, others = (value_text(finding) for finding in pair)
            sentences.append(
                say("means_betrayed", one=release.label, members=members, others=others)
            )
    # And it is neither the one that leaks most by attack nor the one that leaks least.
    hidden = [release for release in releases if not release.shows_members] or releases
    most, least = hidden[0], hidden[-1]
    if len(hidden) == 1:
        key = "found_one" if most.auc.low > 0.5 else "found_one_chance"
        # The wrong way round is said below; it is no "did no better than guessing".
        sentences += [] if most.auc.high < 0.5 else [_about(key, most)]
    elif all(release.auc.low <= 0.5 for release in hidden):
        sentences.append(
            say(
                "found_all_chance",
                count=len(hidden),
                one=most.label,
                attack=most.attack,
                tries=tries_of(most.auc.value),
                auc=short_estimate(most.leakage),
            )
        )
    else:
        key = "found_least" if least.auc.low > 0.5 else "found_least_chance"
        sentences += [_about("found_most", most), _about(key, least)]
    sentences += _beyond_the_average(run, hidden)
    below = [release.label for release in releases if release.auc.high < 0.5]
    if below:
        sentences.append(say("found_below", names=listed(below, most=MOST_NAMES)))
    return together(sentences)


def _untold(run: Run) -> str:
    """Of which releases the leakage cannot be told, and why; or empty."""
    names: dict[str, list[str]] = {}
    for finding in _unresolved(run):
        names.setdefault(reworded(finding.reason).rstrip("."), []).append(
            run.label(finding.release)
        )
    return together(
        [
            say("found_untold", names=listed(labels, most=MOST_NAMES), reason=reason)
            for reason, labels in names.items()
        ]
    )


def _unresolved(run: Run) -> list[Finding]:
    """Primary attacks that came to an end without a figure."""
    found = [run.leakage(name) for name in run.releases]
    return [one for one in found if one is not None and one.status in _NO_FIGURE]


def _unresolved_names(run: Run) -> list[str]:
    """Releases that were attacked to the end without a figure of an attacker who is possible."""
    found = [finding.release for finding in _unresolved(run)]
    if run.summary.deployment.sees:
        found += [
            name
            for name, release in run.releases.items()
            if run.leakage(name) is None and release.builds_done
        ]
    return found


def _stronger(run: Run, release: str, primary: Interval) -> Finding | None:
    """The strongest other attack whose whole interval lies above the primary's."""
    above = [
        finding
        for finding in run.findings
        if finding.release == release
        and not finding.group
        and tells_membership(finding)
        and (found := interval(finding)) is not None
        and found.low > primary.high
    ]
    return max(above, key=lambda finding: finding.value or 0.0, default=None)


def _beyond_the_average(run: Run, releases: Sequence[MeasuredRelease]) -> list[str]:
    """The strongest other attack, the most exposed images and planted ones, a sentence each."""
    told = []
    stronger = [(r, r.stronger) for r in releases if r.stronger is not None]
    if stronger:
        release, finding = max(stronger, key=lambda item: item[1].value or 0.0)
        name = attack_name(finding.id.removesuffix(".auc"))
        told.append(_tried("found_stronger", release.label, finding, attack=name))
    worst = [
        (r, r.worst)
        for r in releases
        if (found := interval(r.worst)) and found.low > 0.5 and r.worst
    ]
    if worst:
        release, finding = max(worst, key=lambda item: item[1].value or 0.0)
        part = run.part(finding) or say("part_exposed_images")
        how = _how_often(finding.value or 0.0)
        told.append(_tried("found_worst", release.label, finding, part=part, how=how))
    told += _planted(run, releases)
    return told


def _planted(run: Run, releases: Sequence[MeasuredRelease]) -> list[str]:
    found = [
        (release, finding)
        for release in releases
        for finding in run.findings
        if finding.release == release.name
        and finding.id.startswith("canaries.")
        and finding.id.endswith(f".{run.primary_attack(release.name).partition('.')[2]}.auc")
        and finding.value is not None
    ]
    if not found:
        return []
    release, finding = max(found, key=lambda item: item[1].value or 0.0)
    kind = canary_name(finding.id.split(".")[1]).lower()
    attack = release.attack
    return [_tried("found_planted", release.label, finding, kind=kind, attack=attack)]


def _tried(key: str, label: str, finding: Finding, **fields: str) -> str:
    tries = tries_of(finding.value or 0.0)
    return say(key, one=label, tries=tries, auc=short_estimate(finding), **fields)


def _how_often(auc: float) -> str:
    if auc >= _NEARLY_ALWAYS:
        return say("how_nearly_always")
    return say("how_mostly") if auc >= _MOSTLY else say("how_tries", tries=tries_of(auc))


def _about(key: str, release: MeasuredRelease) -> str:
    utility = say("utility_missing")
    if release.utility is not None and release.utility.value is not None:
        name = finding_name(release.utility.id).lower()
        if release.utility.id == "utility.balanced_accuracy":
            name = say("utility_balanced", name=name)
        utility = say("utility_is", name=name, value=short_estimate(release.utility))
    return say(
        key,
        one=release.label,
        sees=sees(release.leakage.threat_model),
        attack=release.attack,
        tries=tries_of(release.auc.value),
        auc=short_estimate(release.leakage),
        utility=utility,
    )


def _means(releases: Sequence[MeasuredRelease]) -> str:
    if not releases:
        return say("means_none")
    hidden = [release for release in releases if not release.shows_members]
    if len(hidden) < 2:
        return say("means_one")
    orders = [*_against_reference(hidden), *_open_orders(hidden)]
    return together([*orders, say("means_caveat")])


def _against_reference(releases: Sequence[MeasuredRelease]) -> list[str]:
    """What leaking less than the plain classifier (else than the worst) costs in utility."""
    plain = [release for release in releases if release.leakage.route == "plain"]
    reference = plain[0] if plain else releases[0]
    groups: dict[str, list[str]] = {"kept": [], "paid": [], "unpriced": []}
    for release in sorted(releases, key=_usefulness):
        if release.leaks_less_than(reference):
            groups[_price(release, reference)].append(release.label)
    if not any(groups.values()):
        return [say("means_same", reference=reference.label)]
    return [
        say(
            f"means_{group}_{'one' if len(names) == 1 else 'many'}",
            names=listed(names, most=MOST_NAMES),
            reference=reference.label,
        )
        for group, names in groups.items()
        if names
    ]


def _usefulness(release: MeasuredRelease) -> float:
    """Most useful first: of many names only the first are said."""
    utility = interval(release.utility)
    return 0.0 if utility is None else -utility.value


def _price(release: MeasuredRelease, reference: MeasuredRelease) -> str:
    # Only like is compared with like: accuracy with accuracy, held-out with held-out.
    for name, found in release.utilities.items():
        mine, other = interval(found), interval(reference.utilities.get(name))
        if mine is not None and other is not None:
            return "paid" if mine.high < other.low else "kept"
    return "unpriced"


def _open_orders(releases: Sequence[MeasuredRelease]) -> list[str]:
    most, least = releases[0], releases[-1]
    if most.auc.overlaps(least.auc):
        return [say("means_open_all")]
    sentences = []
    for key, extreme in (("means_open_most", most), ("means_open_least", least)):
        tied = [release.label for release in releases if release.auc.overlaps(extreme.auc)]
        if len(tied) > 1:
            sentences.append(say(key, names=listed(tied, most=MOST_NAMES)))
    return sentences
