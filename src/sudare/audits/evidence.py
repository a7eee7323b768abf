"""Evidence: everything a figure was computed from, without a pixel, for a third party to check."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sudare.audits.config import RunConfig
from sudare.audits.folder import identity
from sudare.audits.labels import Labelled, Labels, Named, Subject
from sudare.audits.measure import Measured, PartialSignals
from sudare.core.archives import ArrayFile
from sudare.core.arrays import BoolArray, IntArray
from sudare.core.errors import AuditError, DataError
from sudare.core.files import UNREADABLE
from sudare.core.hashing import hash_arrays, hash_json
from sudare.core.scores import Scale, ScoreTable
from sudare.core.strict_json import read_json
from sudare.releases.card import Card

__all__ = [
    "Evidence",
    "agreed_on",
    "commitment",
    "membership_nonce",
    "read_evidence",
    "write_evidence",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What one release's findings were computed from.

    Attributes:
        measured: Scores, predictions and costs of every build. Covariates are left out: they
            show what images look like.
        pool: Labels of the pool.
        test: Labels of the test set.
        subject: What findings call the release.
        card: Its card.
        nonce: Opens the commitment to the membership.
        target: Row of the artefact the findings are about; None for every build.
        plan: ``bool [N, n]`` of the whole run, where a route has fewer builds; None: the same.
        checks: Kind of check to its named arrays, one row a build.
    """

    measured: Measured
    pool: Labelled
    test: Labelled
    subject: Subject
    card: Card
    nonce: str
    target: int | None = None
    plan: BoolArray | None = None
    checks: Mapping[str, Mapping[str, npt.NDArray[Any]]] = field(default_factory=dict)


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
    measured, table = evidence.measured, evidence.measured.table
    about = {
        "scales": {name: scale.value for name, scale in table.scales.items()},
        "costs": measured.costs,
        "subject": [evidence.subject.name, evidence.subject.kind, evidence.subject.label],
        "card": evidence.card.model_dump(mode="json", by_alias=True),
        "class_names": evidence.pool.class_names,
        "group_names": evidence.pool.group_names,
        "nonce": evidence.nonce,
        "target": evidence.target,
    }
    # Units by rank: their names may be those of patients.
    units = np.unique(table.units, return_inverse=True)[1]
    arrays: dict[str, Any] = {
        **{f"signal.{name}": np.asarray(values) for name, values in table.signals.items()},
        "membership": table.membership,
        "complement": table.complement,
        "units": units,
        "labels": table.labels,
        "test": measured.test,
        "test_labels": evidence.test.classes,
        "about": np.array(json.dumps(about)),
    }
    optional: dict[str, npt.NDArray[Any] | None] = {
        "copied": measured.copied,
        "trace_spread": measured.trace_spread,
        "initial": measured.initial,
        "groups": evidence.pool.groups,
        "plan": evidence.plan,
    }
    if measured.partial is not None:
        optional["partial"] = measured.partial.columns
        for name, values in measured.partial.signals.items():
            optional[f"partial.{name}"] = values
    arrays |= {name: values for name, values in optional.items() if values is not None}
    for kind, named in evidence.checks.items():
        arrays |= {f"check.{kind}.{name}": values for name, values in named.items()}
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
    table, classes = found.measured.table, len(found.pool.class_names)
    n = table.n_images
    for name, values, most in (
        ("labels", table.labels, classes),
        ("test labels", found.test.classes, classes),
        ("groups", found.pool.groups, len(found.pool.group_names)),
        ("units", table.units, n),
    ):
        if values is not None and len(values) and not 0 <= values.min() <= values.max() < most:
            raise ValueError(f"{name} are not between 0 and {most - 1}")
    if len(np.unique(table.units)) != table.units.max(initial=-1) + 1:
        raise ValueError("units are not numbered from 0")
    for name, length, wanted in (
        ("membership", table.membership.shape[1], n),
        ("units", len(table.units), n),
        ("test predictions", found.measured.test.shape[-2], len(found.test.classes)),
        ("groups", n if found.pool.groups is None else len(found.pool.groups), n),
        ("the plan", n if found.plan is None else found.plan.shape[1], n),
    ):
        if length != wanted:
            raise ValueError(f"{name} of {length} images, where there are {wanted}")


def _evidence(
    arrays: Mapping[str, npt.NDArray[np.generic]], about: Mapping[str, object]
) -> Evidence:
    scales, costs, target = about["scales"], about["costs"], about["target"]
    if not isinstance(scales, dict) or not isinstance(costs, dict):
        raise TypeError("scales and costs must be tables")
    names = tuple(map(str, _list(about["class_names"])))
    group_names = tuple(map(str, _list(about["group_names"])))
    name, kind, label = map(str, _list(about["subject"]))
    labels = arrays["labels"].astype(np.int64)
    membership = arrays["membership"].astype(bool)
    complement = arrays["complement"].astype(np.int64)
    if not np.array_equal(np.sort(complement), np.arange(len(membership))):
        raise ValueError("complements do not pair the builds")
    table = ScoreTable(
        signals={name: arrays[f"signal.{name}"].astype(np.float32) for name in scales},
        scales={str(name): Scale(scale) for name, scale in scales.items()},
        membership=membership,
        complement=complement,
        units=arrays["units"].astype(np.int64),
        labels=labels,
    )
    measured = Measured(
        partial=_partial(arrays),
        table=table,
        test=arrays["test"].astype(np.float32),
        costs={str(name): [float(v) for v in values] for name, values in costs.items()},
        copied=arrays["copied"].astype(bool) if "copied" in arrays else None,
        initial=arrays["initial"].astype(bool) if "initial" in arrays else None,
        trace_spread=(
            arrays["trace_spread"].astype(np.float64) if "trace_spread" in arrays else None
        ),
    )
    groups = arrays["groups"].astype(np.int64) if "groups" in arrays else None
    pool = labels[: table.n_images]
    return Evidence(
        measured=measured,
        pool=Labels(classes=pool, class_names=names, groups=groups, group_names=group_names),
        test=Labels(classes=arrays["test_labels"].astype(np.int64), class_names=names),
        subject=Named(name=name, kind=kind, label=label),
        card=Card.model_validate(about["card"]),
        nonce=str(about["nonce"]),
        target=target if isinstance(target, int) else None,
        plan=arrays["plan"].astype(bool) if "plan" in arrays else None,
        checks=_checks(arrays),
    )


def _partial(arrays: Mapping[str, npt.NDArray[np.generic]]) -> PartialSignals | None:
    if "partial" not in arrays:
        return None
    named = {
        name.removeprefix("partial."): values.astype(np.float32)
        for name, values in arrays.items()
        if name.startswith("partial.")
    }
    return PartialSignals(columns=arrays["partial"].astype(np.int64), signals=named)


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
