"""What attacks found of a release, kept in the cache: a killed run does not attack again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sudare.attacks.registry import MEMBERSHIP_TESTS
from sudare.audits.config import RunConfig
from sudare.audits.findings import ReleaseAudit
from sudare.audits.labels import Subject
from sudare.core.files import atomic_directory, seal
from sudare.core.findings import Findings
from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.core.threats import ThreatModel
from sudare.fleets.cache import Cache, entry_key
from sudare.fleets.jobs import Job

__all__ = ["attacks_key", "kept_audit"]

_FINDINGS, _SCORES, _THREATS = "findings.json", "scores.npz", "threats.json"


def attacks_key(config: RunConfig, subject: Subject, measures: Sequence[Job], *, pool: str) -> str:
    """The key of a release's attack step: what was measured, and how it is judged.

    Args:
        config: The run.
        subject: The release.
        measures: The jobs that measured its builds.
        pool: Content hash of the pool, whose labels and units count.
    """
    values: dict[str, Json] = {
        "work": "attacks",
        "subject": [subject.name, subject.kind, subject.label],
        "measures": [job.key for job in measures],
        "pool": pool,
        "attacks": config.attacks.model_dump(mode="json"),
        "audit": config.audit.model_dump(mode="json", exclude={"fail_on", "exposed"}),
        "prices": config.prices.model_dump(mode="json"),
        "seed": config.seed,
        # The error of null controls is shared among all of a run.
        "routes": len(config.routes),
    }
    tests = [MEMBERSHIP_TESTS[name].partition(":")[0] for name in config.attacks.membership]
    return entry_key(values, roots=["sudare.audits.findings", *tests])


def kept_audit(
    cache: Cache, key: str, make: Callable[[], ReleaseAudit], *, progress: Progress
) -> ReleaseAudit:
    """The audit of a key: read if it is there, else made and kept.

    Args:
        cache: Where it is kept.
        key: Its key.
        make: Runs the attacks.
        progress: Where a damaged entry is said.
    """
    if cache.sound(key, progress):
        return _read(cache.path(key))
    audit = make()
    with atomic_directory(cache.path(key)) as draft:
        (draft / _FINDINGS).write_text(Findings(findings=audit.findings).to_json())
        scores: dict[str, Any] = {"membership": audit.membership, **audit.scores}
        np.savez(draft / _SCORES, **scores)
        (draft / _THREATS).write_text(json.dumps(audit.threats))
        seal(draft, key)
    return audit


def _read(folder: Path) -> ReleaseAudit:
    findings = Findings.model_validate_json((folder / _FINDINGS).read_bytes()).findings
    with np.load(folder / _SCORES, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    threats = json.loads((folder / _THREATS).read_text())
    return ReleaseAudit(
        findings=findings,
        membership=arrays.pop("membership"),
        scores=arrays,
        threats={name: ThreatModel(threat) for name, threat in threats.items()},
    )
