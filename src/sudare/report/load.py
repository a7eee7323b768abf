"""A run folder as one value: findings, summary and configuration, whatever is there so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from sudare.core import AuditError, Finding, Findings
from sudare.core.decisions import Decision, Reply
from sudare.core.figures import declare, figure_of
from sudare.core.findings import SCHEMA
from sudare.core.printable import unprintable
from sudare.core.runs import RUN_SCHEMA, Mode, ReleaseSummary, RunSummary
from sudare.core.strict_json import read_json
from sudare.core.threats import declare_threats
from sudare.core.wording import reworded, say
from sudare.report.text import finding_name

UTILITIES = ("utility.balanced_accuracy", "utility.accuracy", "utility.heldout_accuracy")
"""What says how useful a release is, the best figure first."""

Model = TypeVar("Model", bound=BaseModel)


class Interval(NamedTuple):
    """A measured value and its interval; an interval that was not given is the whole line."""

    value: float
    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether the two intervals share a point, so that an order is not resolved."""
        return self.low <= other.high and other.low <= self.high


def interval(finding: Finding | None) -> Interval | None:
    """The interval of a measured finding, or None."""
    if finding is None or finding.value is None:
        return None
    return Interval(
        finding.value,
        -math.inf if finding.low is None else finding.low,
        math.inf if finding.high is None else finding.high,
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a report is made from.

    Attributes:
        folder: The run folder, where pictures are looked up.
        summary: The file ``run.json``.
        findings: The findings of ``findings.json``; empty while there are none.
        config: The text of ``config.toml``, or empty.
        public: Whether it is the copy that may be handed on.
        drawn_from: Its public copy, which charts are drawn from; itself unless given.
    """

    folder: Path
    summary: RunSummary
    findings: tuple[Finding, ...]
    config: str
    public: bool = False
    drawn_from: Run | None = None

    @property
    def drawn(self) -> Run:
        """What charts are drawn from: those without private counts are the same on both pages."""
        return self.drawn_from or self

    @cached_property
    def releases(self) -> Mapping[str, ReleaseSummary]:
        """Releases by name: those of the summary in order, then those only findings name."""
        known = {release.name: release for release in self.summary.releases}
        for finding in self.findings:
            if finding.release not in known:
                known[finding.release] = ReleaseSummary(
                    name=finding.release,
                    label=finding.release,
                    route=finding.route,
                    kind="",
                    what_leaves="",
                )
        return known

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str, str], Finding]:
        # Of several attackers the first: checks report the one a release is judged by first.
        return {(item.id, item.release, item.group): item for item in reversed(self.findings)}

    def get(self, name: str, release: str, group: str = "") -> Finding | None:
        """The finding of this id, release and group, or None."""
        return self._by_key.get((name, release, group))

    def label(self, release: str) -> str:
        """The label of a release for charts and tables."""
        known = self.releases.get(release)
        return (reworded(known.label) or release) if known else release

    def is_baseline(self, release: str) -> bool:
        """Whether a release is there for comparison rather than as a proposal."""
        return self.summary.mode is Mode.COMPARISON and self.releases[release].baseline

    def primary_attack(self, release: str) -> str:
        """The attack declared primary for this release's threat model; LiRA if none is."""
        declared = [
            attack
            for finding in self.findings
            if finding.release == release and not finding.group
            for attack in [self.summary.primary.get(finding.threat_model.value, "")]
            if attack and finding.id == f"{attack}.auc"
        ]
        lira = "membership.lira"
        return lira if not declared or lira in declared else declared[0]

    def named(self, finding: Finding) -> str:
        """The human name of a finding of this run."""
        return finding_name(finding.id, part=self.part(finding))

    def part(self, finding: Finding) -> str:
        """Which images it is about, with their number and share; empty where it is about all."""
        data, count = self.summary.data, finding.part_units
        if not count or not data.pool_units:
            return ""
        # Two digits and no trailing zeros: 2.5 %, 0.42 %, 1 %.
        share = say("percent", value=f"{100 * count / data.pool_units:.2g}")
        alone = data.pool == data.pool_units
        key = "part_images" if alone else "part_units"
        return say(key, count=f"{count:,}", share=share, all=f"{data.pool_units:,}")

    def leakage(self, release: str) -> Finding | None:
        """The AUC of the primary attack on a release."""
        return self.get(f"{self.primary_attack(release)}.auc", release)

    def strongest(self, release: str) -> Finding | None:
        """The AUC of the attack that tells most of a release, whichever it is."""
        measured = [
            finding
            for finding in self.findings
            if finding.release == release
            and not finding.group
            and tells_membership(finding)
            and finding.value is not None
        ]
        return max(measured, key=lambda one: one.value or 0.0, default=self.leakage(release))

    @cached_property
    def decisions(self) -> Mapping[str, Decision]:
        """What to do with each release that was audited."""
        return {decision.release: decision for decision in self.summary.decisions}

    def leaks(self, release: str, question: str) -> bool:
        """Whether the answer to a question about a release is that it leaks."""
        decision = self.decisions.get(release)
        answer = decision.answer(question) if decision is not None else None
        return answer is not None and answer.reply is Reply.LEAKS

    def shows_members(self, release: str) -> bool:
        """Whether private images are in a release, as they are or nearly so."""
        return self.leaks(release, "copies")

    def bounds_leak(self, release: str) -> tuple[Finding, Finding] | None:
        """Members and others whom the release's own ranges point at; None where they do not."""
        members, others = (self.get(f"sampler.bounds.{rate}", release) for rate in ("tpr", "fpr"))
        if members is None or others is None or not self.leaks(release, "bounds"):
            return None
        return members, others

    def utility(self, release: str) -> Finding | None:
        """The release's utility: the best figure that all releases have, else its own best."""
        own = self.utilities(release)
        shared = [own[name] for name in self._shared_utilities if name in own]
        unmeasured = (self.get(name, release) for name in UTILITIES)
        found = [*shared, *own.values(), *(item for item in unmeasured if item is not None)]
        return found[0] if found else None

    def utilities(self, release: str) -> dict[str, Finding]:
        """The measured utility figures of a release by id, the best one first."""
        found = {name: self.get(name, release) for name in UTILITIES}
        return {
            name: item
            for name, item in found.items()
            if item is not None and item.value is not None
        }

    @cached_property
    def _shared_utilities(self) -> tuple[str, ...]:
        """Figures that every release with any has: only like can be compared with like."""
        having = [found for name in self.releases if (found := self.utilities(name))]
        return tuple(name for name in UTILITIES if having and all(name in own for own in having))


def tells_membership(finding: Finding) -> bool:
    """Whether a finding is an attack's AUC; planted images are told of on their own."""
    figure = figure_of(finding.id)
    if finding.id.startswith("membership."):
        return finding.id.endswith(".auc")
    return (
        figure is not None
        and figure.chance == 0.5
        and figure.id.endswith(".auc")
        and not finding.id.startswith("canaries.")
    )


_RUNS_NAMED = 4


def _runs_in(folder: Path) -> str:
    """The runs in a folder or beside it."""
    for place in (folder, folder.parent):
        found = sorted(path.parent for path in place.glob("*/run.json"))
        if found:
            more = ", ..." if len(found) > _RUNS_NAMED else ""
            return f"There are: {', '.join(map(str, found[:_RUNS_NAMED]))}{more or '.'}"
    return "Give the folder that `sudare compare` or `sudare audit` wrote."


def load_run(folder: Path) -> Run:
    """Read a run folder; only ``run.json`` must be there.

    Args:
        folder: The folder an audit writes.

    Raises:
        AuditError: No ``run.json``, or a file that does not fit its schema.
    """
    if not (folder / "run.json").is_file():
        raise AuditError(
            "there is no run to report on",
            where=str(folder / "run.json"),
            fix=_runs_in(folder)
            or "Give the folder that `sudare compare` or `sudare audit` wrote.",
        )
    summary = _read(folder / "run.json", RunSummary)
    declare(summary.figures)
    declare_threats(summary.threats)
    findings = Findings()
    if (folder / "findings.json").is_file():
        findings = _read(folder / "findings.json", Findings)
    # Files of the form before have texts without keys, which are shown as they are.
    for path, found, known, before in (
        ("run.json", summary.schema_name, RUN_SCHEMA, "sudare.run/2"),
        ("findings.json", findings.schema_name, SCHEMA, "sudare.findings/2"),
    ):
        if found not in (known, before):
            raise AuditError(
                f"the schema is {found!r}, this version reads {known!r}",
                where=str(folder / path),
                fix="Report with the version of Sudare that wrote the run.",
            )
    config = folder / "config.toml"
    if config.is_symlink():
        # Its text goes into the page, and a link may lead to any file of this machine.
        raise AuditError("this is a link", where=str(config), fix="Put the file itself there.")
    return Run(
        folder=folder,
        summary=summary,
        findings=findings.findings,
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
    )


def _read(path: Path, model: type[Model]) -> Model:
    try:
        content = path.read_bytes()
        _refuse_hidden(read_json(content), path)
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AuditError(
            f"the file does not fit its schema: {first['msg']} at {where or 'the top'}",
            where=str(path),
            fix="Run the audit again, or report with the version that wrote it.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise AuditError(
            f"the file is not valid JSON: {error}",
            where=str(path),
            fix="Run the audit again, or report with the version that wrote it.",
        ) from error


def _refuse_hidden(value: object, path: Path) -> None:
    """Refuse text that acts on a terminal, or aborts what draws the charts.

    Raises:
        AuditError: There is some.
    """
    if isinstance(value, str):
        if hidden := unprintable(value.translate(_BREAKS)):
            raise AuditError(
                f"the file holds a character that is not for print: {hidden!r}", where=str(path)
            )
    elif isinstance(value, dict):
        for name, part in value.items():
            _refuse_hidden(name, path)
            _refuse_hidden(part, path)
    elif isinstance(value, list):
        for part in value:
            _refuse_hidden(part, path)


_BREAKS = {ord("\n"): None, ord("\t"): None}
