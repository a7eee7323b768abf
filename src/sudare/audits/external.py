"""Bring your own: any model, any scores; no release folder, no recipe, no shadows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sudare.attacks.membership.given import GivenScores
from sudare.attacks.signals import logit_confidence
from sudare.audits.checks.judge import JudgedScores
from sudare.audits.config import RunConfig, load_config
from sudare.audits.decisions.gates import check_gates, parse_gate
from sudare.audits.evidence import Evidence
from sudare.audits.external_models import answers_of, load_model, pair_of
from sudare.audits.external_records import doubts_of, labels_of, units_of
from sudare.audits.external_scores import GivenTable, given_table
from sudare.audits.finding_context import FindingContext
from sudare.audits.folder import claim
from sudare.audits.judging import JudgedRelease, judge_release
from sudare.audits.labels import Labels, ReleaseRef
from sudare.audits.record import RunRecord, RunResult
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import AuditError, DataError
from sudare.core.progress import Progress, Silent
from sudare.core.runs import DataSummary, Mode, ReleaseSummary
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.data.images import ImageDataset, refuse_overlap
from sudare.data.sources import Source, load_source
from sudare.releases.card import Card
from sudare.releases.kinds import ClassifierRelease

if TYPE_CHECKING:
    import numpy.typing as npt

_SHADOW_FREE = ("loss", "modified_entropy", "entropy", "margin", "gap")


def audit_model(
    model: object,
    members: object,
    non_members: object,
    *,
    folder: Path | str | None = None,
    title: str = "Your model",
    class_names: tuple[str, ...] = (),
    fail_on: str | tuple[str, ...] = (),
    units: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    command: str = "",
    progress: Progress | None = None,
    force: bool = False,
) -> RunResult:
    """Attack any classifier with records known to be in or out of its training set.

    Args:
        model: A ``torch.nn.Module`` that gives logits, an estimator with ``predict_proba``, or a
            function from records to logits ``[n, C]``. Rows of probabilities are taken as such.
        members: Records and labels it was trained on: ``(records, labels)``, or a torch data set
            or loader of such pairs.
        non_members: Records and labels it was not trained on, drawn in the same way.
        folder: Where findings go, for a report; None writes nothing.
        title: Name for people.
        class_names: One name per class; numbers if empty.
        fail_on: Gates.
        units: Unit (patient, person, site) of each member and of each non-member; nearly equal
            records are one unit if None.
        command: The command that repeats it.
        progress: Where to report.
        force: Replace another run in the folder.

    Raises:
        AuditError: Answers that are not finite, or labels or units that do not fit them.
    """
    folder = Path(folder) if folder is not None else None
    fail_on = (fail_on,) if isinstance(fail_on, str) else tuple(fail_on)
    known, others = pair_of(members, where="members"), pair_of(non_members, where="non-members")
    refuse_overlap(known[0], others[0], where=title)
    posterior: list[FloatArray] = []
    labels: list[IntArray] = []
    member: list[BoolArray] = []
    warnings: list[str] = []
    for inside, (records, given) in ((True, known), (False, others)):
        answers, probabilities = answers_of(model, records)
        own = labels_of(given, answers)
        posterior.append(answers)
        labels.append(own)
        member.append(np.full(len(own), inside))
    answers, classes = np.concatenate(posterior), np.concatenate(labels)
    membership = np.concatenate(member)
    if probabilities:
        warnings.append(say("doubt.probabilities"))
    unit, told = units_of(known[0], others[0], units, membership)
    warnings += [*told, *doubts_of(answers, classes, membership, class_names)]
    # Outputs without a class are numbered on.
    numbers = range(len(class_names), answers.shape[1])
    names = (*class_names[: answers.shape[1]], *map(str, numbers))
    card = _card(title, names)
    outside = ~membership
    evidence = Evidence(
        membership=membership[None],
        units=unit,
        pool=Labels(classes=classes, class_names=names),
        population=np.zeros(0, dtype=np.int64),
        test=Labels(classes=classes[outside], class_names=names),
        subject=ReleaseRef(name="given", kind="given", label=title),
        card=card,
        nonce="",
        checks={
            "membership": {
                "phi": logit_confidence(answers, classes)[None, :, None],
                "log_posterior": answers[None],
            },
            "utility": {"test": answers[None, None, outside].astype(np.float32)},
        },
        target=0,
    )
    config = _config(title, fail_on)
    attacks = config.attacks
    check_gates(fail_on, ["given"], attacks.membership, primary=attacks.primary)
    record = _record(
        config, folder, command, evidence.subject, names, membership, unit, force=force
    )
    record.warnings = tuple(warnings)
    judged = judge_release(evidence, config, progress=progress or Silent())
    record.add("given", card, judged)
    record.complete = True
    return record.write() if folder is not None else record.result()


def audit_scores(
    table: GivenTable | npt.ArrayLike,
    membership: npt.ArrayLike | None = None,
    *,
    units: npt.ArrayLike | None = None,
    folder: Path | str | None = None,
    title: str = "Your scores",
    fail_on: str | tuple[str, ...] = (),
    command: str = "",
    force: bool = False,
) -> RunResult:
    """Figures with intervals from scores and membership, nothing else.

    Args:
        table: Scores, ``[n]`` for one model or ``[N, n]`` for several, higher for members; or a
            table that holds all of it.
        membership: Who was a member, of the shape of the scores.
        units: What is drawn together ``[n]``; every record by itself if None.
        folder: Where findings go, for a report; None writes nothing.
        title: Name for people.
        fail_on: Gates.
        command: The command that repeats it.
        force: Replace another run in the folder.

    Raises:
        AuditError: Scores and membership that do not fit.
    """
    folder = Path(folder) if folder is not None else None
    fail_on = (fail_on,) if isinstance(fail_on, str) else tuple(fail_on)
    if not isinstance(table, GivenTable):
        if membership is None:
            raise AuditError("scores without membership", fix="audit_scores(scores, membership)")
        table = given_table(table, membership, units=units)
    config = _config(title, fail_on, primary="given")
    subject = ReleaseRef(name="given", kind="given", label=title)
    record = _record(
        config,
        folder,
        command,
        subject,
        ("given",),
        table.membership[0],
        table.units,
        force=force,
    )
    test = GivenScores()
    judged = JudgedScores(
        name=test.id,
        maker=FindingContext(
            release="given", route="given", builds=len(table.scores), recipients=0
        ),
        scores=table.scores,
        members=table.membership,
        units=table.units,
        threat=ThreatModel.CLASSIFIER_LOGITS,
        alphas=config.audit.alphas,
        draws=config.audit.draws,
        seed=(config.seed, "bootstrap", "given"),
        config_hash=test.config_hash,
    )
    card = _card(title, ("given", "given too"))
    release = JudgedRelease(
        findings=tuple(judged.findings(prior=config.audit.prior)),
        membership=table.membership,
        scores={test.id: table.scores},
        threats={},
    )
    record.add("given", card, release)
    record.complete = True
    return record.write() if folder is not None else record.result()


def audit_images(
    model: str,
    weights: Path | None,
    members: str,
    non_members: str,
    *,
    image_size: int | None,
    folder: Path,
    fail_on: tuple[str, ...],
    command: str,
    progress: Progress,
    force: bool = False,
) -> RunResult:
    """Attack a model by import path with folders of images; see ``audit_model``.

    Raises:
        AuditError: A model that cannot be made.
        DataError: Images that cannot be read, or of other classes.
    """
    # The factory first: reading images may take minutes, a misspelt name is seen at once.
    loaded = load_model(model, weights)
    sources = [
        load_source(name, image_size=image_size, progress=progress)
        for name in (members, non_members)
    ]
    inside, outside = (source.train for source in sources)
    notes = dict.fromkeys(note for source in sources for note in source.notes)
    for note in notes:
        progress.say(f"Note: {note}.")
    if inside.class_names != outside.class_names:
        raise DataError(
            f"members have classes {inside.class_names}, non-members {outside.class_names}",
            where=non_members,
        )
    if inside.image_shape != outside.image_shape:
        raise DataError(
            f"members are {inside.image_shape}, non-members {outside.image_shape}",
            where=non_members,
            fix="Give --image-size.",
        )
    return audit_model(
        loaded,
        (inside.images, inside.classes),
        (outside.images, outside.classes),
        folder=folder,
        title=model,
        class_names=inside.class_names,
        fail_on=fail_on,
        units=_given_units(*sources) if not notes else None,
        command=command,
        progress=progress,
        force=force,
    )


def _given_units(inside: Source, outside: Source) -> tuple[IntArray, IntArray]:
    """Units of two collections: by name where they have names, else each its own."""
    ours, theirs = inside.train.unit, outside.train.unit
    if not (inside.unit_names and outside.unit_names):
        return ours, theirs + 1 + ours.max()
    place = {name: number for number, name in enumerate(inside.unit_names)}
    number = [place.setdefault(name, len(place)) for name in outside.unit_names]
    return ours, np.array(number, dtype=np.int64)[theirs]


def _card(title: str, names: tuple[str, ...]) -> Card:
    return Card(
        kind=ClassifierRelease.kind,
        route="given",
        title=title,
        what_leaves=say("leaves.given"),
        class_names=names,
        image_shape=(1, 1, 1),
    )


def _config(title: str, fail_on: tuple[str, ...], primary: str = "loss") -> RunConfig:
    return load_config(
        {
            "title": f"Audit of {title}",
            "attacks": {"membership": list(_SHADOW_FREE), "primary": primary},
            "audit": {"fail_on": list(fail_on), "exposed": 0},
        }
    )


def _record(
    config: RunConfig,
    folder: Path | None,
    command: str,
    subject: ReleaseRef,
    names: tuple[str, ...],
    membership: BoolArray,
    units: IntArray,
    *,
    force: bool,
) -> RunRecord:
    if folder is not None:
        claim(folder, config, force=force)
    nothing = ImageDataset(
        images=np.zeros((0, 1, 1, 1), dtype=np.uint8),
        labels=np.zeros(0, dtype=np.int64),
        class_names=names,
        unit=np.zeros(0, dtype=np.int64),
    )
    return RunRecord(
        config=config,
        folder=folder or Path(),
        pool=nothing,
        data=DataSummary(
            name="given records",
            licence="yours",
            source="given",
            class_names=names,
            image_shape=(1, 1, 1),
            pool=len(membership),
            pool_units=len(np.unique(units)),
            public=0,
            population=0,
            test=int((~membership).sum()),
        ),
        command=command,
        planned=[
            ReleaseSummary(
                name=subject.name,
                label=subject.label,
                route=subject.kind,
                kind=ClassifierRelease.kind,
                what_leaves=say("leaves.given"),
                builds_planned=1,
            )
        ],
        gates=[
            parse_gate(expression, primary=config.attacks.primary)
            for expression in config.audit.fail_on
        ],
        limits=(say("limit.given"), say("limit.no_shadows"), say("limit.one_model")),
        mode=Mode.GIVEN,
    )
