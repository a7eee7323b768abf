"""What each figure is: declared once, read by findings, gates, pages and the public edition."""

from __future__ import annotations

from collections.abc import Iterable
from string import Formatter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sudare.core.errors import ConfigError

_PARTS = ("attack", "rate", "at", "part")


class Figure(BaseModel):
    """One figure, whoever the attacker is and whatever the release.

    A figure that is not declared is shown on the internal page under its id, and nowhere else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(description="Id of its findings without a rate; * stands for one part.")
    name: str = Field(
        max_length=200,
        description="For tables; may hold {attack}, {rate} (per cent), {at} and {part}.",
    )
    short: str = Field(default="", description="Its name in the glossary, or empty.")
    meaning: str = Field(default="", description="What it says, in a sentence or two.")
    format: Literal["number", "percent", "quantity"] = Field(
        default="number", description="How it reads: 0.123, 12.3 %, or 3 digits with the unit."
    )
    chance: float | Literal["rate"] | None = Field(
        default=None, description="What guessing gives; 'rate' is that of the id, as in tpr@0.01."
    )
    worse: Literal["higher", "lower"] | None = Field(
        default=None, description="Which direction leaks more or breaks more; None: no harm."
    )
    edition: Literal["public", "internal"] = Field(
        default="internal", description="Whether it may stand on the page that is handed on."
    )
    recomputable: bool = Field(
        default=True, description="Whether `sudare audit verify` can compute it from evidence."
    )

    @field_validator("name")
    @classmethod
    def _fills_in_nothing_else(cls, name: str) -> str:
        # A run's file may come from anybody, and a width in a format takes gigabytes.
        for _, field, spec, conversion in Formatter().parse(name):
            if field is not None and (field not in _PARTS or spec or conversion):
                raise ValueError("a name holds {attack}, {rate}, {at} and {part}, as they are")
        return name

    exact: bool = Field(
        default=False,
        description="Whether the number is known and not estimated, so that it decides without an "
        "interval: a claim, a size, a count of what is there.",
    )


def figure_of(name: str) -> Figure | None:
    """The declaration behind a finding's id, or None.

    >>> figure_of("membership.lira.tpr@0.01").format
    'percent'
    >>> figure_of("canaries.ood.rmia.auc").chance
    0.5
    """
    stem = name.partition("@")[0]
    if stem in _DECLARED:
        return _DECLARED[stem]
    # Planted images are attacked like all others.
    if stem.startswith("canaries.") and stem.count(".") >= 3:
        return figure_of("membership." + stem.split(".", 2)[2])
    room, _, rest = stem.partition(".")
    return _DECLARED.get(f"{room}.*.{rest.partition('.')[2]}")


def declared() -> tuple[str, ...]:
    """Ids of all declared figures, without rates."""
    return tuple(_DECLARED)


def rate_of(name: str) -> float | None:
    """The rate of an id such as ``membership.lira.tpr@0.01``, or None."""
    try:
        return float(name.partition("@")[2])
    except ValueError:
        return None


def declare(figures: Iterable[Figure]) -> None:
    """Add figures to the table: those of checks that other packages bring.

    Raises:
        ConfigError: A figure is there already and means something else.
    """
    for figure in figures:
        if _DECLARED.setdefault(figure.id, figure) != figure:
            raise ConfigError(
                f"figure {figure.id!r} is declared twice, differently",
                fix="Give it another id.",
            )


_BUILT_IN: tuple[Figure, ...] = (
    Figure(
        id="membership.*.auc",
        name="{attack}: AUC",
        short="AUC",
        meaning=(
            "How often a member scores above a non-member. 0.5 is a coin flip, 1 tells all apart."
        ),
        chance=0.5,
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.tpr",
        name="{attack}: members found at {rate} false alarms (TPR at {rate} FPR)",
        short="Members found (TPR)",
        meaning=(
            "The share of members found at a threshold that takes that share of non-members for "
            "members too (FPR). Guessing finds as many members as it raises false alarms."
        ),
        format="percent",
        chance="rate",
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.epsilon_seen",
        name="{attack}: epsilon its rates would rule out",
        short="Epsilon that is seen",
        meaning=(
            "The epsilon that the attack's true and false alarms would rule out if each score "
            "were an own run. Scores of one build share a model, so it is no bound on the "
            "mechanism; beside a claimed epsilon it shows how much of it attacks reach. 0 proves "
            "nothing private."
        ),
        chance=0.0,
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.precision",
        name="{attack}: accusations that are right where members are rare, at {rate} false alarms",
        short="Accusations that are right",
        meaning=(
            "Of the images an attacker would call members, the share that are, if only few of "
            "those they try are members; how few is said under Method in the table of findings."
        ),
        format="percent",
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.init_auc",
        name="{attack}: AUC of the images that learned ones started from",
        short="AUC of images started from",
        meaning=(
            "How often a private image that a learned one started from scores above a "
            "non-member. Against the AUC of the other members: what the start gives away."
        ),
        chance=0.5,
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.other_auc",
        name="{attack}: AUC of members that no learned image started from",
        chance=0.5,
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.aop",
        name="{attack}: accuracy over privacy (AOP)",
        short="Accuracy over privacy (AOP)",
        meaning=(
            "Accuracy / (2 AUC)^2, an AUC below 0.5 counted as 0.5: the accuracy itself where the "
            "attack finds nothing, a quarter of it where it finds all. It takes accuracy for worth "
            "little less than privacy: what teaches little may stand above what teaches much, so "
            "it is read beside accuracy and chooses nothing."
        ),
        format="percent",
        edition="public",
    ),
    Figure(
        id="membership.*.aop_raw",
        name="{attack}: accuracy over privacy as published, an AUC below 0.5 raising it",
        format="percent",
        edition="public",
    ),
    Figure(
        id="membership.*.exposed_10x",
        name="{attack}: images found ten times as often as by chance",
        short="Found ten times as often as by chance",
        meaning=(
            "The largest group of images, as a share of all, that the attack finds on average in "
            "1 of 10 builds they are in, or more, at 1 % false alarms. 0: there is no such group."
        ),
        format="percent",
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.exposure_stability",
        name="{attack}: agreement of two halves of the builds on who is exposed",
        short="Agreement on who is exposed",
        meaning=(
            "The rank correlation of the images' exposure in two halves of the builds. 1: the "
            "same images are exposed whatever the seed; 0: a list of exposed images is an "
            "accident."
        ),
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.trace_precision",
        name="{attack}: exposed images that the loss trace alone points at",
        short="Pointed at by the loss trace",
        meaning=(
            "Of the members whose loss moved most while one build was trained, the share that is "
            "also most exposed to attacks: what a warning without any shadow build is worth."
        ),
        format="percent",
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.balanced_accuracy",
        name="{attack}: balanced accuracy",
        short="Balanced accuracy of an attack",
        meaning=(
            "The share of right answers when the upper part of the scores, as large as the share "
            "of members, is called member. 0.5 is a coin flip."
        ),
        chance=0.5,
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.null_auc",
        name="{attack}: AUC on redrawn membership (null control)",
        short="Null control",
        meaning=(
            "The same attack with membership drawn anew, several times. Its AUC must be 0.5 "
            "within its interval; else the attack's other figures cannot be relied on."
        ),
        worse="higher",
        edition="public",
    ),
    Figure(
        id="membership.*.worst_case",
        name="{attack}: AUC of {part}",
        short="AUC of the most exposed",
        meaning=(
            "The AUC on the few images the attack tells best. They are chosen on one half of the "
            "builds and measured on the other, so that luck in choosing does not count."
        ),
        chance=0.5,
        worse="higher",
        edition="public",
    ),
    Figure(
        id="utility.accuracy",
        name="Accuracy",
        edition="public",
    ),
    Figure(
        id="utility.balanced_accuracy",
        name="Balanced accuracy",
        edition="public",
    ),
    Figure(
        id="utility.ece",
        name="Calibration error",
        short="Calibration error",
        meaning="How far a classifier's confidence is from how often it is right.",
        edition="public",
    ),
    Figure(
        id="utility.recall",
        name="Recall",
        short="Recall",
        meaning="The share of a class's images that are recognised as such.",
        edition="public",
    ),
    Figure(
        id="utility.heldout_accuracy",
        name="Accuracy on each build's own held-out half",
        short="Accuracy on the held-out half",
        meaning=(
            "Accuracy on the images of the collection that a build did not see. Against the "
            "accuracy on those it did see, it says how far the build has learnt by heart."
        ),
        edition="public",
    ),
    Figure(
        id="utility.train_accuracy",
        name="Accuracy on the images it was built from",
        edition="public",
    ),
    Figure(
        id="cost.build_cpu_s",
        name="CPU time of one build",
        format="quantity",
        edition="public",
        recomputable=False,
    ),
    Figure(
        id="cost.storage_mb",
        name="Size of the release",
        format="quantity",
        edition="public",
        recomputable=False,
        exact=True,
    ),
    Figure(
        id="cost.recipient_train_s",
        name="Time for the recipient to train",
        format="quantity",
        edition="public",
        recomputable=False,
    ),
    Figure(
        id="cost.audit_cpu_s",
        name="CPU time of the audit",
        format="quantity",
        edition="public",
        recomputable=False,
    ),
    Figure(
        id="cost.transfer_mb",
        name="Data transferred",
        format="quantity",
        edition="public",
        recomputable=False,
        exact=True,
    ),
    Figure(
        id="cost.train_speedup",
        name="Training speed-up for the recipient",
        format="quantity",
        edition="public",
        recomputable=False,
    ),
    Figure(
        id="membership.copies.tpr",
        name="Members that are in the released set, to the pixel",
        short="Copies",
        meaning=(
            "Images that are in what is released, to the pixel: no statistics are needed to find "
            "them."
        ),
        worse="higher",
        exact=True,
    ),
    Figure(
        id="membership.copies.fpr",
        name="Non-members that are in the released set, to the pixel",
        short="Copies",
        meaning=(
            "Images that are in what is released, to the pixel: no statistics are needed to find "
            "them."
        ),
        worse="higher",
        exact=True,
    ),
    Figure(
        id="cost.build_price",
        name="Price of one build",
        format="quantity",
        edition="public",
        recomputable=False,
    ),
    Figure(
        id="privacy.epsilon",
        name="Epsilon of differential privacy (claimed)",
        short="Epsilon",
        meaning=(
            "An upper bound, proven for the recipe and not measured, on how much any attacker can"
            " learn from one image's presence. Smaller promises more; above 10 it promises "
            "little."
        ),
        format="quantity",
        worse="higher",
        edition="public",
        exact=True,
    ),
    Figure(
        id="privacy.mu",
        name="Mu of differential privacy (claimed)",
        short="Mu",
        meaning=(
            "The Gaussian mechanism of sensitivity 1 and noise 1/mu that gives away at least as "
            "much as this recipe may, over the accountant's whole curve: what the best attack can "
            "reach follows from it."
        ),
        format="quantity",
        worse="higher",
        edition="public",
        exact=True,
    ),
    Figure(
        id="privacy.auc_ceiling",
        name="AUC that no attack exceeds if the claim holds",
        short="Ceiling of the AUC",
        meaning=(
            "The area under the best ROC that the claim leaves any attacker, whatever they know. "
            "An AUC measured above it refutes the claim."
        ),
        chance=0.5,
        worse="higher",
        edition="public",
        exact=True,
    ),
    Figure(
        id="privacy.left_out",
        name="Epsilon that the claim leaves out",
        short="Left out of the claim",
        meaning=(
            "The card's own noise, rate and steps spend so much more than it claims. A claim that "
            "does not follow from its own ledger is refuted."
        ),
        format="quantity",
        worse="higher",
        edition="public",
        exact=True,
    ),
    Figure(
        id="copying.pixels.closer_to_members",
        name="Released images nearer to a member than to any other image (pixels)",
        short="Nearer to a member",
        meaning=(
            "Without copying, half of the released images are nearer to an image they were made "
            "from than to one they were not. More hints at copies; half is no proof of "
            "protection."
        ),
        edition="public",
    ),
    Figure(
        id="copying.pixels.nearness_ratio",
        name="Nearest against second nearest, among members against others (pixels)",
        short="Nearest against second nearest",
        meaning=(
            "A copy is much nearer to one image than to any other. 1 without copying, less with it."
        ),
        edition="public",
    ),
    Figure(
        id="copying.pixels.authenticity",
        name="Released images farther from members than members are from each other (pixels)",
        short="Farther than members are from each other",
        meaning="About half without copying, none if every released image is a copy.",
        edition="public",
    ),
    Figure(
        id="copying.pixels.score",
        name="Data-copying statistic (pixels)",
        short="Data-copying statistic",
        meaning=(
            "How much nearer released images are to members than held-out images are, in standard"
            " deviations. 0 without copying; below -3 chance does not explain it."
        ),
        edition="public",
    ),
    Figure(
        id="copying.features.closer_to_members",
        name="Released images nearer to a member than to any other image (features)",
        short="Nearer to a member",
        meaning=(
            "Without copying, half of the released images are nearer to an image they were made "
            "from than to one they were not. More hints at copies; half is no proof of "
            "protection."
        ),
        edition="public",
    ),
    Figure(
        id="copying.features.nearness_ratio",
        name="Nearest against second nearest, among members against others (features)",
        short="Nearest against second nearest",
        meaning=(
            "A copy is much nearer to one image than to any other. 1 without copying, less with it."
        ),
        edition="public",
    ),
    Figure(
        id="copying.features.authenticity",
        name="Released images farther from members than members are from each other (features)",
        short="Farther than members are from each other",
        meaning="About half without copying, none if every released image is a copy.",
        edition="public",
    ),
    Figure(
        id="copying.features.score",
        name="Data-copying statistic (features)",
        short="Data-copying statistic",
        meaning=(
            "How much nearer released images are to members than held-out images are, in standard"
            " deviations. 0 without copying; below -3 chance does not explain it."
        ),
        edition="public",
    ),
)

_DECLARED: dict[str, Figure] = {figure.id: figure for figure in _BUILT_IN}
