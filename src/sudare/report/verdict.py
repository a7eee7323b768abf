"""Three plain sentences built from findings only: what was asked, what was found, what it means.

A difference whose intervals overlap is "not resolved"; no sentence claims more than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sudare.core import Finding
from sudare.core.runs import Mode
from sudare.core.runs import Verdict as Outcome
from sudare.report.formats import control_failed, short_estimate
from sudare.report.load import Interval, Run, interval
from sudare.report.text import attack_name, finding_name, listed, say, sees

__all__ = ["Verdict", "verdict"]

# The verdict is read aloud in meetings; the table has all names.
_MOST_NAMES = 4
_GIVEN_SCORES = "membership.given"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the top of the report says.

    Attributes:
        asked: What was asked and measured.
        control: Which attacks failed their null control, or empty where none did.
        found: Which release leaks most and least, at what utility.
        means: What that means for the choice, and what is not resolved.
        gates: How the gates came out, or empty where there are none.
    """

    asked: str
    control: str
    found: str
    means: str
    gates: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it in reading order."""
        told = (self.asked, self.control, self.found, self.means, self.gates)
        return tuple(text for text in told if text)


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A release whose primary attack came to an end."""

    name: str
    label: str
    leakage: Finding
    auc: Interval
    utility: Finding | None
    utilities: Mapping[str, Finding]
    shows_members: bool

    def leaks_less_than(self, other: _Measured) -> bool:
        return self.auc.high < other.auc.low


def verdict(run: Run) -> Verdict:
    """The verdict on a run, however far it is."""
    releases = sorted(_measured(run), key=lambda release: release.auc.value, reverse=True)
    asked = _asked(run)
    if run.summary.null_control and releases:
        found, means = _null(releases)
    else:
        found, means = _answer(run, releases)
    return Verdict(asked=asked, control=_control(run), found=found, means=means, gates=_gates(run))


def _asked(run: Run) -> str:
    count = max(len(run.releases), 1)
    match run.summary.mode:
        case Mode.COMPARISON:
            key = "asked_one" if count == 1 else "asked_many"
        case Mode.ARTEFACT:
            key = "asked_artefact"
        case Mode.GIVEN:
            key = "asked_scores" if _only_scores(run) else "asked_given"
    return say(
        key,
        data=run.summary.data.name,
        one=listed([run.label(name) for name in run.releases], most=_MOST_NAMES),
        count=count,
        builds=run.summary.builds,
    )


def _control(run: Run) -> str:
    """The null controls that failed: their attack sees something that is no membership."""
    failed = [
        say(
            "control_of",
            attack=attack_name(finding.id.removesuffix(".null_auc")),
            label=run.label(finding.release),
            auc=short_estimate(finding),
        )
        for finding in run.findings
        if control_failed(finding)
    ]
    return say("control_failed", names=listed(failed, most=_MOST_NAMES)) if failed else ""


def _only_scores(run: Run) -> bool:
    """Whether somebody else's scores were judged, and no model was seen."""
    return _GIVEN_SCORES in run.summary.primary.values()


def _answer(run: Run, releases: Sequence[_Measured]) -> tuple[str, str]:
    """What was found, and what it means."""
    mode = run.summary.mode
    if mode is Mode.COMPARISON or not releases:
        return _found(releases), _means(releases)
    if _only_scores(run):
        keys = ("found_scores", "found_scores_chance")
        return " ".join(_about_one(release, *keys) for release in releases), say("means_scores")
    copies = [say("means_copies", one=r.label) for r in releases if r.shows_members]
    return _found(releases), " ".join([*copies, say(f"means_{mode.value}")])


def _about_one(release: _Measured, above: str, at_chance: str) -> str:
    return _about(above if release.auc.low > 0.5 else at_chance, release)


def _measured(run: Run) -> list[_Measured]:
    measured = []
    for name in run.releases:
        leakage = run.leakage(name)
        auc = interval(leakage)
        if leakage is not None and auc is not None:
            measured.append(
                _Measured(
                    name=name,
                    label=run.label(name),
                    leakage=leakage,
                    auc=auc,
                    utility=run.utility(name),
                    utilities=run.utilities(name),
                    shows_members=run.shows_members(name),
                )
            )
    return measured


def _found(releases: Sequence[_Measured]) -> str:
    if not releases:
        return say("found_none")
    # A release that shows members is never the one that leaks least.
    most, least = releases[0], ([r for r in releases if not r.shows_members] or releases)[-1]
    if len(releases) == 1:
        sentences = [_about_one(most, "found_one", "found_one_chance")]
    elif all(release.auc.low <= 0.5 for release in releases):
        sentences = [
            say(
                "found_all_chance",
                count=len(releases),
                one=most.label,
                auc=short_estimate(most.leakage),
            )
        ]
    else:
        key = "found_least" if least.auc.low > 0.5 else "found_least_chance"
        sentences = [_about("found_most", most), _about(key, least)]
    below = [release.label for release in releases if release.auc.high < 0.5]
    if below:
        sentences.append(say("found_below", names=listed(below, most=_MOST_NAMES)))
    return " ".join(sentences)


def _about(key: str, release: _Measured) -> str:
    utility = say("utility_missing")
    if release.utility is not None and release.utility.value is not None:
        name = finding_name(release.utility.id).lower()
        utility = say("utility_is", name=name, value=short_estimate(release.utility))
    return say(
        key,
        one=release.label,
        sees=sees(release.leakage.threat_model),
        auc=short_estimate(release.leakage),
        utility=utility,
    )


def _means(releases: Sequence[_Measured]) -> str:
    if not releases:
        return say("means_none")
    copies = [say("means_copies", one=r.label) for r in releases if r.shows_members]
    hidden = [release for release in releases if not release.shows_members]
    if len(hidden) < 2:
        return " ".join([*copies, say("means_one")])
    orders = [*_against_reference(hidden), *_open_orders(hidden)]
    return " ".join([*orders, *copies, say("means_caveat")])


def _against_reference(releases: Sequence[_Measured]) -> list[str]:
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
            names=listed(names, most=_MOST_NAMES),
            reference=reference.label,
        )
        for group, names in groups.items()
        if names
    ]


def _usefulness(release: _Measured) -> float:
    """Most useful first: of many names only the first are said."""
    utility = interval(release.utility)
    return 0.0 if utility is None else -utility.value


def _price(release: _Measured, reference: _Measured) -> str:
    # Only like is compared with like: accuracy with accuracy, held-out with held-out.
    for name, found in release.utilities.items():
        mine, other = interval(found), interval(reference.utilities.get(name))
        if mine is not None and other is not None:
            return "paid" if mine.high < other.low else "kept"
    return "unpriced"


def _open_orders(releases: Sequence[_Measured]) -> list[str]:
    most, least = releases[0], releases[-1]
    if most.auc.overlaps(least.auc):
        return [say("means_open_all")]
    sentences = []
    for key, extreme in (("means_open_most", most), ("means_open_least", least)):
        tied = [release.label for release in releases if release.auc.overlaps(extreme.auc)]
        if len(tied) > 1:
            sentences.append(say(key, names=listed(tied, most=_MOST_NAMES)))
    return sentences


def _null(releases: Sequence[_Measured]) -> tuple[str, str]:
    outside = [r.label for r in releases if not r.auc.low <= 0.5 <= r.auc.high]
    inside = len(releases) - len(outside)
    found = [say("found_null", count=len(releases), inside=inside)]
    if outside:
        found.append(say("found_null_outside", names=listed(outside, most=_MOST_NAMES)))
    return " ".join(found), say("means_null")


def _gates(run: Run) -> str:
    by_outcome: dict[Outcome, list[str]] = {outcome: [] for outcome in Outcome}
    for gate in run.summary.gates:
        named = say("gate_on", expression=gate.expression, label=run.label(gate.release))
        by_outcome[gate.verdict].append(named)
    if not run.summary.gates:
        return ""
    counts = say(
        "gates",
        passed=len(by_outcome[Outcome.PASS]),
        failed=len(by_outcome[Outcome.FAIL]),
        undecided=len(by_outcome[Outcome.UNDECIDED]),
        not_evaluable=len(by_outcome[Outcome.NOT_EVALUABLE]),
    )
    sentences = [counts]
    for key, outcome in (("gates_failed", Outcome.FAIL), ("gates_undecided", Outcome.UNDECIDED)):
        if by_outcome[outcome]:
            sentences.append(say(key, gates=listed(by_outcome[outcome])))
    return " ".join(sentences)
