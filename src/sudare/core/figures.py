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

    Its words are rows of the catalogues (``report/languages``, ``figure.<id>.name``, ``.short`` and
    ``.meaning``); another package gives them here.
    Its words are rows of the catalogues (``report/languages``, ``figure.<id>.name``, ``.short`` and
    ``.meaning``); another package gives them here.
    A figure that is not declared is shown on the internal page under its id, and nowhere else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(description="Id of its findings without a rate; * stands for one part.")
    name: str = Field(
        default="",
        max_length=200,
        description="For tables, unless the catalogues name it; may hold {attack}, {rate} (per "
        "cent), {at} and {part}.",
    )
    short: str = Field(default="", description="Its name in the glossary, likewise, or empty.")
    meaning: str = Field(default="", description="What it says, likewise, in a sentence or two.")
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
    *(
        Figure(id=f"copying.{space}.{name}", edition="public")
        for space in ("pixels", "features")
        for name in ("closer_to_members", "nearness_ratio", "authenticity", "score")
    ),
    Figure(id="membership.*.auc", chance=0.5, worse="higher", edition="public"),
    Figure(
        id="membership.*.tpr",
        format="percent",
        chance="rate",
        worse="higher",
        edition="public",
    ),
    Figure(id="membership.*.epsilon_seen", chance=0.0, worse="higher", edition="public"),
    Figure(id="membership.*.precision", format="percent", worse="higher", edition="public"),
    Figure(id="membership.*.init_auc", chance=0.5, worse="higher", edition="public"),
    Figure(id="membership.*.other_auc", chance=0.5, worse="higher", edition="public"),
    Figure(id="membership.*.aop", format="percent", edition="public"),
    Figure(id="membership.*.aop_raw", format="percent", edition="public"),
    Figure(id="membership.*.exposed_10x", format="percent", worse="higher", edition="public"),
    Figure(id="membership.*.exposure_stability", worse="higher", edition="public"),
    Figure(id="membership.*.trace_precision", format="percent", worse="higher", edition="public"),
    Figure(id="membership.*.balanced_accuracy", chance=0.5, worse="higher", edition="public"),
    Figure(id="membership.*.null_auc", worse="higher", edition="public"),
    Figure(id="membership.*.worst_case", chance=0.5, worse="higher", edition="public"),
    Figure(id="utility.accuracy", edition="public"),
    Figure(id="utility.balanced_accuracy", edition="public"),
    Figure(id="utility.ece", edition="public"),
    Figure(id="utility.recall", edition="public"),
    Figure(id="utility.heldout_accuracy", edition="public"),
    Figure(id="utility.train_accuracy", edition="public"),
    Figure(id="cost.build_cpu_s", format="quantity", edition="public", recomputable=False),
    Figure(
        id="cost.storage_mb",
        format="quantity",
        edition="public",
        recomputable=False,
        exact=True,
    ),
    Figure(id="cost.recipient_train_s", format="quantity", edition="public", recomputable=False),
    Figure(id="cost.audit_cpu_s", format="quantity", edition="public", recomputable=False),
    Figure(
        id="cost.transfer_mb",
        format="quantity",
        edition="public",
        recomputable=False,
        exact=True,
    ),
    Figure(id="cost.train_speedup", format="quantity", edition="public", recomputable=False),
    Figure(id="membership.copies.tpr", worse="higher", exact=True),
    Figure(id="membership.copies.fpr", worse="higher", exact=True),
    Figure(id="cost.build_price", format="quantity", edition="public", recomputable=False),
    Figure(id="privacy.epsilon", format="quantity", worse="higher", edition="public", exact=True),
    Figure(id="privacy.mu", format="quantity", worse="higher", edition="public", exact=True),
    Figure(id="privacy.auc_ceiling", chance=0.5, worse="higher", edition="public", exact=True),
    Figure(id="privacy.left_out", format="quantity", worse="higher", edition="public", exact=True),
)

_DECLARED: dict[str, Figure] = {figure.id: figure for figure in _BUILT_IN}
