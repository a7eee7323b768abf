"""Evidence: everything a figure was computed from, without a pixel, for a third party to check."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sudare.audits.checks.trial import Trial
from sudare.audits.config import RunConfig
from sudare.audits.folder import identity
from sudare.audits.labels import Labelled, Labels, ReleaseRef
from sudare.core.archives import ArrayFile
from sudare.core.arrays import BoolArray, IntArray
from sudare.core.errors import AuditError, DataError
from sudare.core.files import UNREADABLE
from sudare.core.hashing import hash_arrays, hash_json
from sudare.core.strict_json import read_json
from sudare.releases.card import Card


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What one release's findings were computed from.

    Attributes:
        membership: ``bool [N, n]``, who was a member of which build.
        units: ``int64 [n]``.
        pool: Labels of the pool.
        population: ``int64 [m]``, classes of the population.
        test: Labels of the test set.
        subject: What findings call the release.
        card: Its card.
        nonce: Opens the commitment to the membership.
        checks: Kind of check to its named arrays, one row a build.
        target: Row of the artefact the findings are about; None for every build.
        plan: ``bool [N, n]`` of the whole run, where a route has fewer builds; None: the same.
    """

    membership: BoolArray
    units: IntArray
    pool: Labelled
    population: IntArray
    test: Labelled
    subject: ReleaseRef
    card: Card
    nonce: str
    checks: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    target: int | None = None
    plan: BoolArray | None = None

    def trial(self, seed: int) -> Trial:
        """Who was a member, for a run of a seed."""
        return Trial.of(
            self.membership, self.units, self.pool.classes, seed=seed, target=self.target
        )


def membership_nonce(content_hash: str, seed: int, part: str = "") -> str:
    """A nonce nobody can guess who does not hold the images, the same in a resumed run."""
    return hash_json({"nonce of": content_hash, "seed": seed, "part": part})


def agreed_on(config: RunConfig, *, units: IntArray, pool: Labelled, test: Labelled) -> str:
    """Digest of what a run's figures follow from beside images and membership.

    Configuration but for what judges, prices and places the work; units by rank, labels, groups
    and names of the pool; labels of the test set.
    """
    ranks = np.unique(units, return_inverse=True)[1].astype(np.int64)
    groups = np.zeros(0, np.int64) if pool.groups is None else pool.groups.astype(np.int64)
    columns = (ranks, pool.classes.astype(np.int64), groups, test.classes.astype(np.int64))
    return hash_json(
        {
            "config": identity(config),
            "columns": hash_arrays(*columns),
            "names": [list(pool.class_names), list(pool.group_names)],
        }
    )


def commitment(membership: BoolArray, nonce: str, agreed: str) -> str:
    """SHA-256 of nonce, membership and what was agreed on: binds the auditor, tells nothing.

    Args:
        membership: ``bool [N, n]``, of the whole run.
        nonce: Of `membership_nonce`.
        agreed: Of `agreed_on`.
    """
    digest = hashlib.sha256(f"{nonce} {agreed} {membership.shape} ".encode())
    digest.update(np.packbits(membership).tobytes())
    return digest.hexdigest()


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Write evidence as an .npz file; private, since it says who was a member."""
    about = {
        "subject": [evidence.subject.name, evidence.subject.kind, evidence.subject.label],
        "card": evidence.card.model_dump(mode="json", by_alias=True),
        "class_names": evidence.pool.class_names,
        "group_names": evidence.pool.group_names,
        "nonce": evidence.nonce,
        "target": evidence.target,
    }
    arrays: dict[str, Any] = {
        "membership": evidence.membership,
        # Units by rank: their names may be those of patients.
        "units": np.unique(evidence.units, return_inverse=True)[1],
        "labels": evidence.pool.classes,
        "population_labels": evidence.population,
        "test_labels": evidence.test.classes,
        "about": np.array(json.dumps(about)),
    }
    optional = {"groups": evidence.pool.groups, "plan": evidence.plan}
    arrays |= {name: values for name, values in optional.items() if values is not None}
    for kind, named in evidence.checks.items():
        arrays |= {f"check.{kind}.{name}": np.asarray(values) for name, values in named.items()}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    partial.chmod(0o600)
    partial.replace(path)


def read_evidence(path: Path) -> Evidence:
    """Read evidence; nothing in it can execute.

    Raises:
        AuditError: A file that is none.
    """
    try:
        _refuse_packed(path)
        arrays = ArrayFile(path).all()
        about = read_json(str(arrays["about"]))
        if not isinstance(about, dict):
            raise TypeError("what it is about must be a table")
        found = _evidence(arrays, about)
        _refuse_ranges(found)
        return found
    except DataError as error:
        raise AuditError(f"the evidence cannot be read: {error.what}", where=str(path)) from error
    except (*UNREADABLE, IndexError) as error:
        raise AuditError(f"the evidence cannot be read: {error}", where=str(path)) from error


def _refuse_packed(path: Path) -> None:
    """Refuse compressed arrays: evidence is written as it is, so its size is what it takes.

    Raises:
        ValueError: There are some, or it is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("its arrays are packed; an export never packs them")


def _refuse_ranges(found: Evidence) -> None:
    """Refuse numbers that no run writes, before anything is computed with them.

    Raises:
        ValueError: There are some.
    """
    n, classes = len(found.units), len(found.pool.class_names)
    for name, values, most in (
        ("labels", found.pool.classes, classes),
        ("population labels", found.population, classes),
        ("test labels", found.test.classes, classes),
        ("groups", found.pool.groups, len(found.pool.group_names)),
        ("units", found.units, n),
    ):
        if values is not None and len(values) and not 0 <= values.min() <= values.max() < most:
            raise ValueError(f"{name} are not between 0 and {most - 1}")
    if len(np.unique(found.units)) != found.units.max(initial=-1) + 1:
        raise ValueError("units are not numbered from 0")
    for name, length, wanted in (
        ("membership", found.membership.shape[1], n),
        ("labels", len(found.pool.classes), n),
        ("groups", n if found.pool.groups is None else len(found.pool.groups), n),
        ("the plan", n if found.plan is None else found.plan.shape[1], n),
        *(("test predictions", shape[-2], len(found.test.classes)) for shape in _answers(found)),
    ):
        if length != wanted:
            raise ValueError(f"{name} of {length} images, where there are {wanted}")
    _refuse_builds(found)


def _answers(found: Evidence) -> list[tuple[int, ...]]:
    """The shape of the answers to test images, where there are some."""
    test = found.checks.get("utility", {}).get("test")
    return [] if test is None else [test.shape]


def _refuse_builds(found: Evidence) -> None:
    """Refuse rows that are not each other's complement, or a target that is none of them.

    Raises:
        ValueError: There are some.
    """
    builds = len(found.membership)
    paired = np.array_equal(found.membership[0::2], ~found.membership[1::2])
    if builds != 1 and (builds % 2 or not paired):
        raise ValueError("complements do not pair the builds")
    if found.target is not None and not 0 <= found.target < builds:
        raise ValueError(f"the target is row {found.target} of {builds}")


def _evidence(
    arrays: Mapping[str, npt.NDArray[np.generic]], about: Mapping[str, object]
) -> Evidence:
    names = tuple(map(str, _list(about["class_names"])))
    group_names = tuple(map(str, _list(about["group_names"])))
    name, kind, label = map(str, _list(about["subject"]))
    target = about["target"]
    groups = arrays["groups"].astype(np.int64) if "groups" in arrays else None
    return Evidence(
        membership=arrays["membership"].astype(bool),
        units=arrays["units"].astype(np.int64),
        pool=Labels(
            classes=arrays["labels"].astype(np.int64),
            class_names=names,
            groups=groups,
            group_names=group_names,
        ),
        population=arrays["population_labels"].astype(np.int64),
        test=Labels(classes=arrays["test_labels"].astype(np.int64), class_names=names),
        subject=ReleaseRef(name=name, kind=kind, label=label),
        card=Card.model_validate(about["card"]),
        nonce=str(about["nonce"]),
        checks=_checks(arrays),
        target=target if isinstance(target, int) else None,
        plan=arrays["plan"].astype(bool) if "plan" in arrays else None,
    )


def _checks(
    arrays: Mapping[str, npt.NDArray[np.generic]],
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    found: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, values in arrays.items():
        if name.startswith("check."):
            _, kind, leaf = name.split(".", 2)
            found.setdefault(kind, {})[leaf] = values
    return found


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("names must be a list")
    return value
