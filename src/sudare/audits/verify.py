"""Export a run's evidence, and recompute every figure from it without the images."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sudare.audits.canaries import canary_findings
from sudare.audits.config import RunConfig, load_config, read_toml
from sudare.audits.copying import PREFIX as COPYING
from sudare.audits.evidence import Evidence, read_evidence
from sudare.audits.findings import audit_release
from sudare.core.errors import AuditError
from sudare.core.files import atomic_directory
from sudare.core.findings import Finding, Findings
from sudare.core.hashing import hash_json
from sudare.core.progress import Progress
from sudare.core.runs import RunSummary
from sudare.data.canaries import CanaryKind

__all__ = ["Verification", "export", "verify"]

EVIDENCE_SCHEMA = "sudare.evidence/1"
_MANIFEST = "manifest.json"
_TOLERANCE = 1e-6
_CANARIES = ".canaries-"
_NOT_RECOMPUTED = ("cost.", COPYING)
"""Measured with a clock, or of something that is not in the evidence."""


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: str = Field(default=EVIDENCE_SCHEMA, alias="schema")
    command: str
    membership_commitment: str
    releases: dict[str, str] = Field(description="Release to the SHA-256 of its card.")
    versions: dict[str, str]
    files: dict[str, str] = Field(description="File to its SHA-256.")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How a recomputation came out.

    Attributes:
        agree: Figures that came out as printed.
        differ: Figures that did not, in words.
        not_recomputed: Ids of figures the evidence does not reach.
        committed: Whether the membership is the one committed to before the first build.
    """

    agree: int
    differ: tuple[str, ...]
    not_recomputed: tuple[str, ...]
    committed: bool

    @property
    def holds(self) -> bool:
        """Whether every recomputed figure agrees and the commitment opens."""
        return not self.differ and self.committed


def export(run: Path, folder: Path) -> Path:
    """Write a run's evidence to a folder that can be handed to a third party.

    It holds scores, membership, labels, the configuration, the findings and the releases'
    cards; no pixel, and no covariate that could be turned into one. Who was a member is in it:
    hand it to an auditor, do not publish it.

    Raises:
        AuditError: No evidence in the run, or a folder that exists.
    """
    evidence = sorted((run / "evidence").glob("*.npz"))
    if not evidence or not (run / "run.json").is_file():
        raise AuditError(
            "there is no evidence in this run folder",
            where=str(run),
            fix="Give the folder that `sudare compare` or `sudare audit` wrote.",
        )
    if folder.exists():
        raise AuditError(
            "the folder exists already", where=str(folder), fix="Choose another --out."
        )
    try:
        summary = RunSummary.model_validate_json((run / "run.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise AuditError(f"the run cannot be read: {error}", where=str(run)) from error
    # Whatever else lies there may be another collection's.
    listed = {release.name for release in summary.releases}
    evidence = [path for path in evidence if path.stem.partition(_CANARIES)[0] in listed]
    cards = {path.stem: read_evidence(path).card for path in evidence if _CANARIES not in path.stem}
    with atomic_directory(folder) as partial:
        for path in evidence:
            shutil.copyfile(path, partial / path.name)
        for name in ("config.toml", "findings.json"):
            shutil.copyfile(run / name, partial / name)
        manifest = _Manifest(
            command=summary.command,
            membership_commitment=summary.membership_commitment,
            releases={
                name: hash_json(card.model_dump(mode="json")) for name, card in cards.items()
            },
            versions=summary.versions,
            files={path.name: _sha256(path) for path in sorted(partial.iterdir())},
        )
        (partial / _MANIFEST).write_text(manifest.model_dump_json(by_alias=True, indent=1) + "\n")
    return folder


def verify(folder: Path, *, progress: Progress) -> Verification:
    """Recompute a run's figures from its evidence.

    Args:
        folder: What ``export`` wrote.
        progress: Where to report.

    Raises:
        AuditError: A file that is missing, changed, unlisted or unreadable.
    """
    manifest = _checked_manifest(folder)
    try:
        printed = Findings.model_validate_json((folder / "findings.json").read_bytes())
    except ValidationError as error:
        raise AuditError(f"the findings cannot be read: {error}", where=str(folder)) from error
    config = load_config(read_toml(str(folder / "config.toml")))
    recomputed: dict[tuple[str, str, str], Finding] = {}
    committed = True
    for name in sorted(name for name in manifest.files if name.endswith(".npz")):
        evidence = read_evidence(folder / name)
        stem = name.removesuffix(".npz")
        if _CANARIES not in stem:
            if manifest.membership_commitment:
                committed &= evidence.commitment == manifest.membership_commitment
            listed = manifest.releases.get(stem)
            if listed != hash_json(evidence.card.model_dump(mode="json")):
                raise AuditError("the card is not the one in the manifest", where=name)
        for finding in _recompute(stem, evidence, config, progress):
            recomputed[finding.key] = finding
    return _compared(printed, recomputed, committed=committed)


def _recompute(
    stem: str, evidence: Evidence, config: RunConfig, progress: Progress
) -> list[Finding]:
    if _CANARIES in stem:
        kind = CanaryKind(stem.partition(_CANARIES)[2])
        return canary_findings(evidence.measured, evidence.subject, evidence.card, kind, config)
    audit = audit_release(
        evidence.measured,
        evidence,
        evidence.subject,
        evidence.card,
        config,
        target=evidence.target,
        shadows=evidence.shadows,
        progress=progress,
    )
    return list(audit.findings)


def _compared(
    printed: Findings, recomputed: dict[tuple[str, str, str], Finding], *, committed: bool
) -> Verification:
    agree, differ, missing = 0, [], []
    for finding in printed.findings:
        again = recomputed.get(finding.key)
        beyond = again is None or (again.value is None and finding.value is not None)
        if finding.id.startswith(_NOT_RECOMPUTED) or beyond:
            missing.append(f"{finding.release}: {finding.id}")
        elif again is not None and _same(finding, again):
            agree += 1
        elif again is not None:
            differ.append(
                f"{finding.release}: {finding.id} {finding.group}".rstrip()
                + f": printed {_numbers(finding)}, recomputed {_numbers(again)}"
            )
    return Verification(
        agree=agree, differ=tuple(differ), not_recomputed=tuple(missing), committed=committed
    )


def _same(one: Finding, two: Finding) -> bool:
    pairs = ((one.value, two.value), (one.low, two.low), (one.high, two.high))
    return one.status is two.status and all(
        a is b or (a is not None and b is not None and abs(a - b) <= _TOLERANCE * max(1.0, abs(a)))
        for a, b in pairs
    )


def _numbers(finding: Finding) -> str:
    return finding.numbers


def _checked_manifest(folder: Path) -> _Manifest:
    try:
        manifest = _Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise AuditError(f"the manifest cannot be read: {error}", where=str(folder)) from error
    if manifest.schema_name != EVIDENCE_SCHEMA:
        raise AuditError(f"this is {manifest.schema_name!r}, not {EVIDENCE_SCHEMA!r}")
    present = {path.name for path in folder.iterdir()} - {_MANIFEST}
    if present != set(manifest.files):
        odd = ", ".join(sorted(present ^ set(manifest.files)))
        raise AuditError(f"missing or unlisted files: {odd}", where=str(folder))
    for name, digest in manifest.files.items():
        path = folder / name
        if PurePosixPath(name).name != name or path.is_symlink() or not path.is_file():
            raise AuditError(f"{name!r} is no plain file of this folder", where=str(folder))
        if _sha256(path) != digest:
            raise AuditError("the file was changed after the export", where=name)
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
