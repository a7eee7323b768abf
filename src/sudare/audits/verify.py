"""Export a run's evidence, and recompute every figure from it without the images."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sudare.audits.binding import (
    CANARIES,
    contradictions,
    opens,
    recomputable,
    shown_absent,
    unrecomputed,
)
from sudare.audits.canaries import canary_findings
from sudare.audits.checks.registry import make_check
from sudare.audits.config import RunConfig, load_config, read_toml
from sudare.audits.evidence import Evidence, read_evidence
from sudare.audits.judging import judge_release
from sudare.core.errors import AuditError, ConfigError
from sudare.core.figures import declare
from sudare.core.files import atomic_directory
from sudare.core.findings import Finding, Findings, Status
from sudare.core.hashing import hash_json
from sudare.core.printable import escaped
from sudare.core.progress import Progress
from sudare.core.runs import RunSummary
from sudare.core.strict_json import read_json
from sudare.data.canaries import CanaryKind

EVIDENCE_SCHEMA = "sudare.evidence/3"
_OLDER = ("sudare.evidence/1", "sudare.evidence/2")
_MANIFEST = "manifest.json"
_NAMES = re.compile(r"config\.toml|findings\.json|[^/\\\x00-\x1f]+\.npz")
_TOLERANCE = 1e-6
_Key: TypeAlias = tuple[str, str, str, str]


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: str = Field(default=EVIDENCE_SCHEMA, alias="schema")
    command: str
    membership_commitment: str
    releases: dict[str, str] = Field(description="Release to the SHA-256 of its card.")
    unrecomputed: str = Field(
        default="", description="Digest of the figures that nobody recomputes."
    )
    versions: dict[str, str]
    files: dict[str, str] = Field(description="File to its SHA-256.")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How a recomputation came out.

    Attributes:
        agree: Figures that came out as printed.
        differ: Figures that did not, in words.
        not_recomputed: Ids of figures the evidence does not reach.
        committed: Whether membership, labels and configuration are those committed to before the
            first build.
        commitment: What was committed to; empty for an artefact.
        absent: Planned releases that could not be built, and why, as the evidence shows.
    """

    agree: int
    differ: tuple[str, ...]
    not_recomputed: tuple[str, ...]
    committed: bool
    commitment: str = ""
    absent: Mapping[str, str] = field(default_factory=dict)

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
    evidence = [path for path in evidence if path.stem.partition(CANARIES)[0] in listed]
    cards = {path.stem: read_evidence(path).card for path in evidence if CANARIES not in path.stem}
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
            unrecomputed=unrecomputed(_findings(partial).findings),
            versions=summary.versions,
            files={path.name: _sha256(path) for path in sorted(partial.iterdir())},
        )
        (partial / _MANIFEST).write_text(manifest.model_dump_json(by_alias=True, indent=1) + "\n")
        for path in partial.iterdir():
            path.chmod(0o600)
    return folder


def verify(folder: Path, *, progress: Progress, published: str = "") -> Verification:
    """Recompute a run's figures from its evidence, and hold its parts against each other.

    Args:
        folder: What ``export`` wrote.
        progress: Where to report.
        published: A commitment or a manifest's digest that was known from elsewhere, from before.

    Raises:
        AuditError: A file that is missing, changed, unlisted or unreadable.
    """
    manifest = _checked_manifest(folder)
    printed = _findings(folder)
    config = _config(folder)
    for check in config.checks:
        declare(make_check(check).figures)
    stems = sorted(n.removesuffix(".npz") for n in manifest.files if n.endswith(".npz"))
    evidence = {stem: read_evidence(folder / f"{stem}.npz") for stem in stems}
    whole = {stem: found for stem, found in evidence.items() if CANARIES not in stem}
    planted = {stem: found for stem, found in evidence.items() if CANARIES in stem}
    published_before = manifest.membership_commitment
    broken = [
        *_not_published(published, manifest, folder),
        *_not_listed(manifest, whole, printed),
        *contradictions(
            config,
            printed,
            whole,
            planted=planted,
            committed=bool(published_before),
        ),
    ]
    committed = (
        all(opens(found, config, published_before) for found in whole.values())
        if published_before
        else len(whole) == 1
    )
    absent = shown_absent(config, whole)
    recomputed: dict[_Key, Finding] = {}
    # Parts of several runs have no figures to recompute.
    if committed and not broken:
        for stem, found in evidence.items():
            for finding in _recompute(stem, found, config, progress):
                # A finding that is copied out of its file says that it is a control.
                marked = finding.model_copy(update={"null_control": config.audit.null})
                recomputed[finding.key] = marked
        agree, broken = _compared(printed, recomputed, absent=absent)
    else:
        agree = 0
    return Verification(
        agree=agree,
        differ=tuple(broken),
        not_recomputed=tuple(
            f"{finding.release}: {finding.id}"
            for finding in printed.findings
            if not recomputable(finding)
        ),
        committed=committed,
        commitment=published_before,
        absent=absent,
    )


def commitment_of(folder: Path) -> str:
    """What an evidence folder says was committed to before the first build; empty if nothing."""
    return _checked_manifest(folder).membership_commitment


def digest_of(folder: Path) -> str:
    """SHA-256 of an evidence folder's manifest, which lists all that is in it."""
    return _sha256(folder / _MANIFEST)


def _not_listed(
    manifest: _Manifest, evidence: Mapping[str, Evidence], printed: Findings
) -> Iterator[str]:
    """What the manifest binds and the folder has otherwise."""
    if manifest.schema_name in _OLDER:
        yield "the manifest is of an older form, which binds neither configuration nor costs"
    elif manifest.unrecomputed != unrecomputed(printed.findings):
        yield "figures that nobody recomputes are not those in the manifest"
    for name in sorted(manifest.releases.keys() ^ evidence.keys()):
        yield f"{name} is in the manifest or in the evidence, and not in both"
    for name, found in evidence.items():
        if manifest.releases.get(name) != hash_json(found.card.model_dump(mode="json")):
            yield f"{name}: the card is not the one in the manifest"


def _not_published(published: str, manifest: _Manifest, folder: Path) -> Iterator[str]:
    if published and published not in (manifest.membership_commitment, digest_of(folder)):
        yield f"neither its commitment nor its manifest is {published[:12]}..., which was published"


def _findings(folder: Path) -> Findings:
    path = folder / "findings.json"
    try:
        content = path.read_bytes()
        read_json(content)
        return Findings.model_validate_json(content)
    except (OSError, ValueError, RecursionError) as error:
        raise AuditError(f"the findings cannot be read: {_first(error)}", where=str(path)) from (
            error
        )


def _config(folder: Path) -> RunConfig:
    path = folder / "config.toml"
    try:
        return load_config(read_toml(str(path)))
    except (ConfigError, UnicodeDecodeError, RecursionError) as error:
        raise AuditError(f"the configuration cannot be read: {error}", where=str(path)) from error


def _first(error: Exception) -> str:
    """What was wrong first, in a line."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        return escaped(f"{place}: {found['msg']}")
    return escaped(str(error))


def _recompute(
    stem: str, evidence: Evidence, config: RunConfig, progress: Progress
) -> list[Finding]:
    try:
        if CANARIES in stem:
            return canary_findings(evidence, _planted_kind(stem), config)
        return list(judge_release(evidence, config, progress=progress).findings)
    except (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError) as error:
        # Arrays that no check measured: a judge believes what it is given.
        raise AuditError(
            f"the evidence lacks what a check measured, or has it otherwise: {_first(error)}",
            where=stem,
        ) from error


def _planted_kind(stem: str) -> CanaryKind:
    """Which images the evidence of a name is about.

    Raises:
        AuditError: None that are planted.
    """
    try:
        return CanaryKind(stem.partition(CANARIES)[2])
    except ValueError as error:
        raise AuditError("evidence of no kind of planted images", where=stem) from error


def _compared(
    printed: Findings, recomputed: Mapping[_Key, Finding], *, absent: Mapping[str, str]
) -> tuple[int, list[str]]:
    """How many figures came out as printed, and what did not, in words."""
    agree, differ = 0, []
    for finding in printed.findings:
        again = recomputed.get(finding.key)
        if not recomputable(finding) or (
            finding.status is Status.FAILED and finding.release in absent
        ):
            continue
        if again is None:
            differ.append(f"{_named(finding)}: printed, and not to be found in the evidence")
        elif fields := _differing(finding, again):
            differ.append(
                f"{_named(finding)}: printed {finding.numbers}, recomputed {again.numbers} "
                f"(differ in: {', '.join(fields)})"
            )
        else:
            agree += 1
    keys = [finding.key for finding in printed.findings]
    differ += [f"{_named(printed.findings[i])}: printed twice" for i in _again(keys)]
    for key in recomputed.keys() - set(keys):
        if recomputable(recomputed[key]):
            differ.append(f"{_named(recomputed[key])}: in the evidence, and not printed")
    if not agree:
        differ.append("nothing could be recomputed")
    return agree, differ


def _differing(one: Finding, two: Finding) -> list[str]:
    """Fields in which two findings differ; numbers beyond rounding."""
    fields = []
    for name in type(one).model_fields:
        a, b = getattr(one, name), getattr(two, name)
        if name in ("value", "low", "high") and a is not None and b is not None:
            same = abs(a - b) <= _TOLERANCE * max(1.0, abs(a))
        else:
            same = a == b
        if not same:
            fields.append(name)
    return fields


def _again(keys: Sequence[_Key]) -> list[int]:
    """Positions of keys that stood before."""
    return [index for index, key in enumerate(keys) if key in keys[:index]]


def _named(finding: Finding) -> str:
    return f"{finding.release}: {finding.id} {finding.group}".rstrip()


def _checked_manifest(folder: Path) -> _Manifest:
    try:
        content = (folder / _MANIFEST).read_bytes()
        read_json(content)
        manifest = _Manifest.model_validate_json(content)
    except (OSError, ValueError, RecursionError) as error:
        raise AuditError(
            f"the manifest cannot be read: {_first(error)}", where=str(folder)
        ) from error
    if manifest.schema_name not in (EVIDENCE_SCHEMA, *_OLDER):
        raise AuditError(f"this is {manifest.schema_name!r}, not {EVIDENCE_SCHEMA!r}")
    present = {path.name for path in folder.iterdir()} - {_MANIFEST}
    if present != set(manifest.files):
        odd = escaped(", ".join(sorted(present ^ set(manifest.files))))
        raise AuditError(f"missing or unlisted files: {odd}", where=str(folder))
    for name, digest in manifest.files.items():
        path = folder / name
        if not _NAMES.fullmatch(name) or path.is_symlink() or not path.is_file():
            raise AuditError(f"{name!a} is no file that an export writes", where=str(folder))
        if _sha256(path) != digest:
            raise AuditError("the file was changed after the export", where=name)
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
