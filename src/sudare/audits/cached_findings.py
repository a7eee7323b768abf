"""Findings of a release, kept in the cache: a run that was killed does not attack again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sudare.attacks.registry import MEMBERSHIP_TESTS
from sudare.audits.checks.built_in import checks_of
from sudare.audits.config import RunConfig
from sudare.audits.judging import JudgedRelease
from sudare.audits.labels import ReleaseRef
from sudare.core.files import atomic_directory, seal
from sudare.core.findings import Findings
from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.core.threats import ThreatModel
from sudare.fleets.cache import Cache, entry_key
from sudare.fleets.jobs import Job
from sudare.routes.config import PlannedRelease

_FINDINGS, _SCORES, _THREATS = "findings.json", "scores.npz", "threats.json"


def judgement_key(
    config: RunConfig,
    subject: ReleaseRef,
    jobs: Sequence[Job],
    *,
    pool: str,
    planned: PlannedRelease,
) -> str:
    """The key of what follows about a release: what was measured, and how it is judged.

    Args:
        config: The run.
        subject: The release.
        jobs: All that measured its builds.
        pool: Content hash of the pool, whose labels and units count.
        planned: The release as it was planned.
    """
    values: dict[str, Json] = {
        "work": "judge",
        "subject": [subject.name, subject.kind, subject.label],
        "jobs": [job.key for job in jobs],
        "pool": pool,
        "attacks": config.attacks.model_dump(mode="json"),
        "audit": config.audit.model_dump(mode="json", exclude={"fail_on", "exposed"}),
        "prices": config.prices.model_dump(mode="json"),
        "threat": config.threat.model_dump(mode="json"),
        "checks": [check.model_dump(mode="json") for check in config.checks],
        "seed": config.seed,
        # The error of null controls is shared among all of a run.
        "routes": len(config.routes),
    }
    roots = {MEMBERSHIP_TESTS[name].partition(":")[0] for name in config.attacks.membership}
    for check in checks_of(config, planned):
        roots |= {type(check).__module__, check.check.partition(":")[0], *check.modules}
    # Components of the pixels are computed beside the checks and judged with them.
    roots |= {"sudare.audits.judging", "sudare.audits.checks.covariates"}
    return entry_key(values, roots=roots)


def cached_judgement(
    cache: Cache, key: str, make: Callable[[], JudgedRelease], *, progress: Progress
) -> JudgedRelease:
    """What follows about a release: read if it is there, else made and kept.

    Args:
        cache: Where it is kept.
        key: Its key.
        make: Runs the attacks.
        progress: Where a damaged entry is said.
    """
    if cache.sound(key, progress):
        return _read(cache.path(key))
    judged = make()
    with atomic_directory(cache.path(key)) as draft:
        (draft / _FINDINGS).write_text(Findings(findings=judged.findings).to_json())
        scores: dict[str, Any] = {"membership": judged.membership, **judged.scores}
        np.savez(draft / _SCORES, **scores)
        (draft / _THREATS).write_text(json.dumps(dict(judged.threats)))
        seal(draft, key)
    return judged


def _read(folder: Path) -> JudgedRelease:
    findings = Findings.model_validate_json((folder / _FINDINGS).read_bytes()).findings
    with np.load(folder / _SCORES, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    threats = json.loads((folder / _THREATS).read_text())
    return JudgedRelease(
        findings=findings,
        membership=arrays.pop("membership"),
        scores=arrays,
        threats={name: ThreatModel(threat) for name, threat in threats.items()},
    )
