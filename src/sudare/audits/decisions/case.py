"""What a decision is about: a release with its findings, its lines and its holder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

from sudare.core.findings import Finding, Status
from sudare.core.lines import against
from sudare.core.runs import Mode, Thresholds

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is decided about, and what was declared to be measured on it before anything was.

    Attributes:
        release: Its name.
        kind: Its kind.
        mode: What was asked; without shadows an attack can condemn and not acquit.
        attacks: Ids of every attack that was to run, without ``.auc``; those of checks too.
        primary: The attack whose worst case was declared.
        holds_items: Whether images leave with it.
        shows_set: Whether they are a set that is seen whole, so that equal images are counted.
        holds_ranges: Whether it is a distribution, whose ranges may name members.
        claims: Whether it claims a guarantee.
        per_unit: Whether a unit is one image, so that the guarantee is about whole units.
        planted: Kinds of planted images that were to be attacked.
        inverted: Whether it was to be inverted.
        reference: The plain net of the run, or empty where none is planned.
        classes: Number of classes.
        builds: Builds of it.
    """

    release: str
    kind: str
    mode: Mode = Mode.COMPARISON
    attacks: tuple[str, ...] = ()
    primary: str = "membership.rmia"
    holds_items: bool = False
    shows_set: bool = True
    holds_ranges: bool = False
    claims: bool = False
    per_unit: bool = True
    planted: tuple[str, ...] = ()
    inverted: bool = False
    reference: str = ""
    classes: int = 2
    builds: int = 0


@dataclass(frozen=True, kw_only=True)
class Case:
    """A subject with what was measured of it, and the lines it is held against.

    Attributes:
        subject: What is decided about.
        lines: The declared lines.
        findings: Of this release and of the reference, for attackers who are possible.
    """

    subject: Subject
    lines: Thresholds
    findings: Sequence[Finding]

    @cached_property
    def own(self) -> tuple[Finding, ...]:
        """Findings about this release as a whole."""
        name = self.subject.release
        return tuple(f for f in self.findings if f.release == name and not f.group)

    def get(self, name: str, release: str = "") -> Finding | None:
        """The first finding of an id, of this release or of another."""
        wanted = release or self.subject.release
        found = (f for f in self.findings if f.id == name and f.release == wanted and not f.group)
        return next(found, None)

    def aucs(self) -> list[Finding]:
        """The AUC of every attack that applies to this release."""
        wanted = {f"{attack}.auc" for attack in self.subject.attacks}
        return [f for f in self.own if f.id in wanted and f.status is not Status.NOT_APPLICABLE]

    def corrected(self, finding: Finding) -> Finding:
        """An AUC whose ends hold for all attacks on the release at once.

        Where the attacks' scores were resampled together the largest of their standardised
        deviations said how much wider ends must be; the family counts as one attack, and
        Bonferroni's correction does the rest.
        """
        count = sum(f.simultaneous is None for f in self.aucs())
        count += any(f.simultaneous is not None for f in self.aucs())
        wider = NormalDist().inv_cdf(1 - 0.025 / max(count, 1)) / _Z * (finding.simultaneous or 1.0)
        if finding.value is None or finding.low is None or finding.high is None:
            return finding
        return finding.model_copy(
            update={
                "low": finding.value - wider * (finding.value - finding.low),
                "high": finding.value + wider * (finding.high - finding.value),
            }
        )

    @cached_property
    def ceiling(self) -> Finding | None:
        """The AUC that the claim leaves any attacker, where the claim is about whole units."""
        found = self.get("privacy.auc_ceiling") if self.subject.per_unit else None
        return found if found is not None and found.value is not None else None

    def proven(self, line: float) -> bool:
        """Whether the claim keeps every attack at most at a line, and nothing measured refutes it.

        The ceiling is an expected value, so attacks refute it by their corrected lower end. What
        somebody else's card claims proves nothing where its recipe was not run.
        """
        return (
            self.subject.mode is not Mode.GIVEN
            and self.ceiling is not None
            and against(self.ceiling, line, at_most=True).holds is True
            and not self.refuting()
        )

    def refuting(self) -> list[Finding]:
        """Attacks that do better than the claim allows any."""
        if self.ceiling is None or self.ceiling.value is None:
            return []
        return [
            f
            for f in self.aucs()
            if against(self.corrected(f), self.ceiling.value, at_most=True).holds is False
        ]
