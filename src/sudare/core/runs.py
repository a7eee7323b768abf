"""What an audit writes down beside its findings, and a report reads: the file ``run.json``."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sudare.core.decisions import Decision
from sudare.core.figures import Figure
from sudare.core.threats import Threat, ThreatModel
from sudare.core.wording import Wording

RUN_SCHEMA = "sudare.run/3"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Mode(StrEnum):
    """What a run was asked; a report words its verdict accordingly."""

    COMPARISON = "comparison"
    """Releases were built many times over and compared."""
    ARTEFACT = "artefact"
    """One release that exists was attacked, with shadow builds of its recipe."""
    GIVEN = "given"
    """A model, a release or scores came with known members and non-members; no recipe."""


class DataSummary(_Value):
    """The collection in words and counts. Counts of private images are for the internal page."""

    name: str
    licence: str
    source: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int] = Field(description="Channels, height, width.")
    pool: int = Field(description="Pool images. Private.")
    pool_units: int = Field(description="Distinct units in the pool. Private.")
    public: int
    population: int
    test: int
    removed: dict[str, int] = Field(
        default_factory=dict, description="Near-duplicates of the pool taken out of each part."
    )
    merged: int = Field(default=0, description="Near-duplicates merged into one unit. Private.")
    notes: tuple[Wording, ...] = Field(
        default=(), description="What was assumed or left out when it was read, a sentence each."
    )
    public_groups: tuple[str, ...] = Field(
        default=(), description="Groups that the public page may name, as in 'group Berlin'."
    )


class ReleaseSummary(_Value):
    """One release of the run."""

    name: str = Field(description="Name within the run, such as dpsgd-eps8.")
    label: Wording = Field(description="For charts and tables, such as 'DP-SGD, epsilon 8'.")
    route: str
    kind: str = Field(description="classifier, samples, ...")
    what_leaves: Wording = Field(description="One sentence: what the recipient gets.")
    guarantee: Wording = Field(default="", description="Formal guarantee in words, or empty.")
    baseline: bool = Field(default=False, description="There for comparison, no proposal.")
    scales: dict[str, float] = Field(
        default_factory=dict,
        description="Where it stands on declared scales: further up leaks no less.",
    )
    unprotected: str = Field(
        default="", description="Route that differs from it by having no guarantee."
    )
    alike: str = Field(
        default="", description="What another must share for an order between them to be expected."
    )
    builds_done: int = 0
    builds_planned: int = 0


class RocCurve(_Value):
    """Exact ROC points (ties grouped) of one attack on one release, thinned for drawing."""

    release: str
    attack: str = Field(description="Attack id, such as membership.lira.")
    threat_model: ThreatModel
    fpr: tuple[float, ...]
    tpr: tuple[float, ...]


class ExposedImage(_Value):
    """A private image that the attack finds again and again. Internal page only."""

    release: str
    picture: str = Field(description="PNG file, relative to the run folder.")
    class_name: str
    score: float = Field(description="Share of other images that it stands out from, in [0, 1].")


class ClosePair(_Value):
    """A released image, the nearest member and the nearest other image. Internal page only."""

    release: str
    picture: str = Field(description="PNG file of the three side by side, in the run folder.")
    to_member: float = Field(description="Distance of pixels in 0 to 1 to the member.")
    to_other: float = Field(description="Distance to the nearest image that was not used.")


class Verdict(StrEnum):
    """Outcome of a gate."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
    NOT_EVALUABLE = "not_evaluable"


class ShownPicture(_Value):
    """A picture that a check made of one build."""

    kind: str = Field(description="Name of the check.")
    release: str
    file: str = Field(description="PNG file, relative to the run folder.")
    caption: Wording
    public: bool = Field(default=False, description="Whether it shows only what leaves anyway.")


class ShownChoice(_Value):
    """What the builds of a route chose among, and how each candidate did. Internal page only."""

    release: str = Field(description="First release of the route.")
    what: str = Field(description="What was chosen: generator, sigma, ...")
    options: tuple[Wording, ...]
    scores: tuple[tuple[float | None, ...], ...] = Field(
        description="Of each build a score for each option, in 0 to 1; none where it had no such."
    )
    chosen: tuple[int, ...] = Field(description="Of each build the option it took.")


class GateResult(_Value):
    """One threshold on one finding, and how it came out."""

    expression: str = Field(description="As given, such as 'membership.lira.tpr@0.01 > 0.05'.")
    release: str
    verdict: Verdict
    explanation: Wording


class Thresholds(_Value):
    """Where the decision draws its lines; whole intervals are held against them."""

    share_auc: float = Field(
        default=0.55, ge=0.5, le=1, description="Share: every attack's AUC is at most this."
    )
    refuse_auc: float = Field(
        default=0.65, ge=0.5, le=1, description="Do not share: some attack's AUC is above this."
    )
    share_worst: float = Field(
        default=0.75,
        ge=0.5,
        le=1,
        description="Share: the AUC on the most exposed, and on planted images, is at most this.",
    )
    refuse_worst: float = Field(
        default=0.9, ge=0.5, le=1, description="Do not share: that AUC is above this."
    )
    share_inversion: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share: inverted images are taken for their class at most this much more often "
        "(Acc@1) than those of a net of random weights.",
    )
    refuse_inversion: float = Field(
        default=0.3, ge=0, le=1, description="Do not share: more often than this."
    )
    claimed_epsilon: float = Field(
        default=10.0, gt=0, description="A claim of a larger epsilon promises little."
    )
    useful: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Any good: what it gains over guessing is at least this share of what the "
        "plain classifier gains.",
    )
    useful_alone: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="The same share of the way from guessing to always right, where no plain "
        "classifier is in the run.",
    )
    least_power: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="The search for copies finds at least this share of copies that were planted.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Thresholds:
        for share, refuse in (
            ("share_auc", "refuse_auc"),
            ("share_worst", "refuse_worst"),
            ("share_inversion", "refuse_inversion"),
        ):
            if getattr(self, share) > getattr(self, refuse):
                raise ValueError(f"{share} is above {refuse}")
        return self


class Deployment(_Value):
    """Who will hold what is released, and what they see of it."""

    holder: str = Field(
        default="", max_length=200, description="In words, such as: clinics behind our API."
    )
    sees: tuple[ThreatModel, ...] = Field(
        default=(),
        description="Threat models that are possible there, such as classifier/labels; the "
        "verdict counts no others. Empty: all.",
    )


class Stage(_Value):
    """A stage of the run and how far it is."""

    label: Wording
    done: int
    total: int


class RunSummary(_Value):
    """Everything a report needs beside the findings."""

    schema_name: str = Field(default=RUN_SCHEMA, alias="schema")
    title: str
    command: str = Field(description="The command that repeats the run.")
    started: str = Field(description="ISO 8601, UTC.")
    updated: str = Field(description="ISO 8601, UTC.")
    complete: bool = False
    wall_s: float = 0.0
    seed: int = 0
    mode: Mode = Field(default=Mode.COMPARISON, description="What was asked.")
    builds: int = Field(description="Builds per release; shadow builds where one was given.")
    null_control: bool = Field(default=False, description="Whether membership was redrawn.")
    machine: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    data: DataSummary
    releases: tuple[ReleaseSummary, ...] = ()
    primary: dict[str, str] = Field(
        default_factory=dict,
        description="Threat model to the attack declared primary, such as membership.lira.",
    )
    roc: tuple[RocCurve, ...] = ()
    exposed: tuple[ExposedImage, ...] = ()
    pairs: tuple[ClosePair, ...] = ()
    checks: dict[str, str] = Field(
        default_factory=dict, description="Kind of each further check to what it is called."
    )
    pictures: tuple[ShownPicture, ...] = Field(default=(), description="Pictures of checks.")
    choices: tuple[ShownChoice, ...] = Field(default=(), description="What builds chose among.")
    gates: tuple[GateResult, ...] = ()
    stages: tuple[Stage, ...] = ()
    figures: tuple[Figure, ...] = Field(
        default=(), description="Figures of the run that are declared by checks."
    )
    threats: tuple[Threat, ...] = Field(
        default=(), description="Threat models of the run that are declared by kinds."
    )
    thresholds: Thresholds = Field(default=Thresholds(), description="Lines of the decision.")
    decisions: tuple[Decision, ...] = Field(
        default=(), description="What to do with each release that was audited, and why."
    )
    deployment: Deployment = Field(default=Deployment(), description="Who will hold it.")
    warnings: tuple[Wording, ...] = Field(
        default=(), description="What makes figures of this run doubtful, a sentence each."
    )
    membership_commitment: str = Field(
        default="",
        description="SHA-256 over a nonce and who is in which build, made before the first build.",
    )
    limits: tuple[Wording, ...] = Field(default=(), description="What this run cannot say.")

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )
