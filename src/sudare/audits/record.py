"""What is known of a run so far: findings, curves, pictures, gates; written after every stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.copies import chosen_items, matched_pairs
from sudare.audits.checks.copies_config import CopiesCheckConfig
from sudare.audits.checks.jobs import show_pictures
from sudare.audits.checks.membership import group_name
from sudare.audits.checks.registry import make_check
from sudare.audits.config import RunConfig
from sudare.audits.decisions.decision import decide
from sudare.audits.decisions.gates import Gate, judge
from sudare.audits.decisions.subjects import subject_of
from sudare.audits.environment import machine, now, versions
from sudare.audits.evidence import Evidence, write_evidence
from sudare.audits.judging import JudgedRelease
from sudare.audits.pictures import close_pairs, exposed_images, roc_curve
from sudare.core.arrays import BoolArray, ByteArray
from sudare.core.decisions import Decision
from sudare.core.files import atomic_write
from sudare.core.findings import Finding, Findings, Status
from sudare.core.runs import (
    ClosePair,
    DataSummary,
    ExposedImage,
    GateResult,
    Mode,
    ReleaseSummary,
    RocCurve,
    RunSummary,
    ShownChoice,
    ShownPicture,
    Stage,
)
from sudare.core.wording import say
from sudare.data.images import ImageDataset
from sudare.data.sources import Source
from sudare.data.splits import AuditSplit
from sudare.fleets.builds import load_choices
from sudare.recipients.use import contact_sheet_of
from sudare.releases.card import Card
from sudare.releases.kinds import TrainingSet
from sudare.releases.registry import kind_class
from sudare.releases.store import read_release
from sudare.routes.config import PlannedRelease


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run gave."""

    findings: Findings
    summary: RunSummary

    def __str__(self) -> str:
        """Every figure with its interval, a line each."""
        lines = []
        for finding in self.findings.findings:
            name = f"{finding.release}: {finding.id} {finding.group}".rstrip()
            if finding.value is None:
                lines.append(f"{name}: {finding.status.value} ({finding.reason})")
            else:
                lines.append(f"{name}: {finding.numbers} {finding.unit}".rstrip())
        return "\n".join(lines)

    @property
    def decisions(self) -> dict[str, Decision]:
        """What to do with each release that was audited, by its name."""
        return {decision.release: decision for decision in self.findings.decisions}

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """How each gate came out."""
        return self.summary.gates


@dataclass(kw_only=True)
class RunRecord:
    """Collects a run's results and writes them whenever there are new ones.

    Attributes:
        config: The run.
        folder: Run folder.
        pool: The images whose membership is in question, for pictures.
        data: The collection in words and counts.
        command: The command that repeats the run.
        planned: Every release, finished or not.
        gates: Thresholds to judge.
        limits: What the run cannot say.
        after_stage: Called with the folder after each write.
        mode: What was asked.
        commitment: To who is a member of which build, made before the first build.
        warnings: What makes figures of this run doubtful.
    """

    config: RunConfig
    folder: Path
    pool: ImageDataset
    data: DataSummary
    command: str
    planned: Sequence[ReleaseSummary]
    gates: Sequence[Gate]
    limits: tuple[str, ...]
    after_stage: Callable[[Path], object] = lambda folder: None
    mode: Mode = Mode.COMPARISON
    commitment: str = ""
    warnings: tuple[str, ...] = ()
    started: str = field(default_factory=now)
    clock: float = field(default_factory=time.monotonic)
    findings: list[Finding] = field(default_factory=list)
    cards: dict[str, Card] = field(default_factory=dict)
    curves: list[RocCurve] = field(default_factory=list)
    exposed: list[ExposedImage] = field(default_factory=list)
    pairs: list[ClosePair] = field(default_factory=list)
    pictures: list[ShownPicture] = field(default_factory=list)
    choices: list[ShownChoice] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    complete: bool = False

    def add(self, name: str, card: Card, audit: JudgedRelease) -> None:
        """Take in what follows about one release."""
        self.cards[name] = card
        self.findings += audit.findings
        threat = kind_class(card.kind).scores_as
        for attack, scores in audit.scores.items():
            sees = audit.threats.get(attack, threat)
            self.curves.append(roc_curve(name, attack, sees, scores, audit.membership))
        primary = audit.scores.get(f"membership.{self.config.attacks.primary}")
        # A single target says nothing about how often an image is found.
        if primary is None or len(primary) < 2 or self.config.audit.null or not len(self.pool):
            return
        self.exposed += exposed_images(
            name,
            self.pool,
            primary,
            audit.membership,
            folder=self.folder,
            count=self.config.audit.exposed,
        )

    def fail(self, releases: Sequence[PlannedRelease], reason: str) -> None:
        """Take in that releases were not built, and why; nothing about them has passed."""
        for release in releases:
            self.failed.add(release.name)
            self.findings.append(
                Finding(
                    id=f"membership.{self.config.attacks.primary}.auc",
                    release=release.name,
                    route=next(p.route for p in self.planned if p.name == release.name),
                    threat_model=kind_class(release.kind).scores_as,
                    status=Status.FAILED,
                    reason=reason,
                )
            )
            self.warnings += (
                say("doubt.not_built", label=release.label, reason=reason.rstrip(".")),
            )

    def add_judged(
        self,
        judged: JudgedRelease,
        evidence: Evidence,
        folders: Sequence[Path],
        checks: Mapping[CheckConfig, Path],
    ) -> None:
        """Everything about one release: findings, curves, pictures, evidence.

        Args:
            judged: What follows from the evidence.
            evidence: The evidence.
            folders: Where its builds' releases lie.
            checks: What each check measured of the first build, for its pictures.
        """
        name = evidence.subject.name
        self.add(name, evidence.card, judged)
        self._add_pairs(name, folders[0], judged.membership[0], evidence.checks.get("copies"))
        for config, entry in checks.items():
            self.pictures += show_pictures(config, name, entry, self.folder)
        self.keep(name, evidence)

    def _add_pairs(
        self,
        name: str,
        folder: Path,
        members: BoolArray,
        near: Mapping[str, npt.NDArray[Any]] | None,
    ) -> None:
        """Pictures of released images beside the nearest private ones, of the first build."""
        # Under redrawn membership these would be about images that were not used.
        if near is None or self.config.audit.null:
            return
        self.pairs += close_pairs(
            name,
            _shown_items(folder, self.config),
            self.pool,
            matched_pairs(near, 0, members),
            folder=self.folder,
            count=self.config.audit.exposed,
        )

    def add_sheet(self, name: str, folder: Path) -> None:
        """A contact sheet of what one build released; for the house, since it may show members."""
        release = read_release(folder)
        if release.pictures() is None:
            return
        file = self.folder / "internal" / f"{name}-sheet.png"
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        contact_sheet_of(release).save(file)
        file.chmod(0o600)
        self.pictures.append(
            ShownPicture(
                kind="sets",
                release=name,
                file=str(file.relative_to(self.folder)),
                caption=release.card.what_leaves,
                public=False,
            )
        )

    def add_choices(self, name: str, builds: Sequence[Path]) -> None:
        """What the builds of a route chose among, and the candidates of the first as pictures."""
        made = [load_choices(folder) for folder in builds]
        for row, first in enumerate(made[0]):
            own = [choices[row] for choices in made if row < len(choices)]
            options = max((choice.options for choice in own), key=len)
            self.choices.append(
                ShownChoice(
                    release=name,
                    what=first.what,
                    options=options,
                    scores=tuple(
                        tuple(
                            dict(zip(choice.options, choice.scores, strict=True)).get(option)
                            for option in options
                        )
                        for choice in own
                    ),
                    chosen=tuple(options.index(choice.options[choice.chosen]) for choice in own),
                )
            )
            for at, option in enumerate(first.options):
                picture = builds[0] / f"{first.what}-{at}.png"
                if not picture.is_file():
                    continue
                file = self.folder / "internal" / f"{name}-{picture.name}"
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                file.write_bytes(picture.read_bytes())
                file.chmod(0o600)
                note = first.notes[at] if first.notes else ""
                self.pictures.append(
                    ShownPicture(
                        kind="choices",
                        release=name,
                        file=str(file.relative_to(self.folder)),
                        caption=f"{option}: {note}" if note else option,
                        public=False,
                    )
                )

    def keep(self, name: str, evidence: Evidence) -> None:
        """Keep what a release's findings were computed from, for `sudare audit export`."""
        write_evidence(self.folder / "evidence" / f"{name}.npz", evidence)

    def write(self) -> RunResult:
        """Write findings and summary, then let the caller draw its pages."""
        result = self.result()
        atomic_write(self.folder / "findings.json", result.findings.to_json())
        text = result.summary.model_dump_json(by_alias=True, indent=1)
        atomic_write(self.folder / "run.json", text + "\n")
        self.after_stage(self.folder)
        return result

    def result(self) -> RunResult:
        """What there is so far."""
        # A finding that is copied out of its file must still say that it is a control.
        update = {"null_control": self.config.audit.null}
        findings = tuple(finding.model_copy(update=update) for finding in self.findings)
        decisions = self._decisions(findings)
        return RunResult(
            findings=Findings(findings=findings, decisions=decisions),
            summary=self._summary(findings, decisions),
        )

    def _decisions(self, findings: Sequence[Finding]) -> tuple[Decision, ...]:
        """What to do with each release that was audited."""
        plain = [release.name for release in self.planned if release.route == "plain"]
        return tuple(
            decide(
                findings,
                self.config.verdict,
                self.config.threat,
                subject_of(
                    release,
                    self.config,
                    self.mode,
                    self.data,
                    guarantee=card.guarantee if card is not None else "",
                    reference=plain[0] if plain else "",
                ),
            )
            for release in self.planned
            for card in [self.cards.get(release.name)]
            if card is not None or release.name in self.failed
        )

    def _summary(self, findings: Sequence[Finding], decisions: tuple[Decision, ...]) -> RunSummary:
        done = list(self.cards)
        kinds = [kind_class(kind) for kind in sorted({r.kind for r in self.planned})]
        primary = f"membership.{self.config.attacks.primary}"
        return RunSummary(
            title=self.config.title,
            command=self.command,
            started=self.started,
            updated=now(),
            complete=self.complete,
            wall_s=time.monotonic() - self.clock,
            seed=self.config.seed,
            mode=self.mode,
            builds=max((release.builds_planned for release in self.planned), default=0),
            null_control=self.config.audit.null,
            machine=machine(),
            versions=versions(),
            data=self.data,
            releases=tuple(self._release(release) for release in self.planned),
            primary={kind.scores_as.value: primary for kind in kinds},
            threats=tuple(dict.fromkeys(t for kind in kinds for t in kind.threats)),
            roc=tuple(self.curves),
            exposed=tuple(self.exposed),
            pairs=tuple(self.pairs),
            checks={check.kind: check.label for check in self.config.checks},
            pictures=tuple(self.pictures),
            choices=tuple(self.choices),
            figures=tuple(f for c in self.config.checks for f in make_check(c).figures),
            gates=tuple(result for gate in self.gates for result in judge(gate, findings, done)),
            stages=tuple(
                Stage(
                    label=release.label,
                    done=release.builds_planned if release.name in self.cards else 0,
                    total=release.builds_planned,
                )
                for release in self.planned
            ),
            limits=self.limits,
            thresholds=self.config.verdict,
            decisions=decisions,
            deployment=self.config.threat,
            warnings=self.warnings,
            membership_commitment=self.commitment,
        )

    def _release(self, planned: ReleaseSummary) -> ReleaseSummary:
        card = self.cards.get(planned.name)
        if card is None:
            return planned
        update = {"guarantee": card.guarantee, "builds_done": planned.builds_planned}
        return planned.model_copy(update=update)


def _shown_items(folder: Path, config: RunConfig) -> ByteArray:
    """The images that the search for copies looked at, as pixels."""
    training_set = read_release(folder).training_set()
    if not isinstance(training_set, TrainingSet):
        raise TypeError("a release that holds images must give a training set")
    items = next(check.items for check in config.checks if isinstance(check, CopiesCheckConfig))
    images = training_set.images[chosen_items(len(training_set.images), items)]
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def data_summary(
    source: Source, split: AuditSplit, public_groups: Sequence[str] = ()
) -> DataSummary:
    """The collection in words and counts; which groups may be named in public."""
    pool = split.pool
    return DataSummary(
        name=source.name,
        licence=source.licence,
        source=source.source,
        class_names=pool.class_names,
        image_shape=pool.image_shape,
        pool=len(pool),
        pool_units=len(np.unique(pool.unit)),
        public=len(split.public),
        population=len(split.population),
        test=len(split.test),
        removed=dict(split.removed),
        merged=split.merged,
        notes=source.notes,
        public_groups=tuple(group_name(name) for name in public_groups),
    )
