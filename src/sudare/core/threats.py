"""What an attacker sees, by name. Every finding carries one of these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sudare.core.errors import ConfigError

_PATTERN = r"^[a-z][a-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9-]*)?$"


class Threat(BaseModel):
    """What one kind of attacker sees; kinds of release add their own.

    Its words are rows of the catalogues (``report/languages``, ``threat.<id>.sees`` and
    ``.phrase``); another package gives them here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=_PATTERN, description="Name, such as classifier/logits.")
    sees: str = Field(default="", description="What the attacker sees, in one sentence.")
    phrase: str = Field(default="", description="The same as the object of 'who sees'.")


class ThreatModel(str):
    """The name of a threat model; what it stands for is declared once."""

    __slots__ = ()

    NONE: ClassVar[ThreatModel]
    CLASSIFIER_LABELS: ClassVar[ThreatModel]
    CLASSIFIER_LOGITS: ClassVar[ThreatModel]
    CLASSIFIER_WEIGHTS: ClassVar[ThreatModel]
    SAMPLES_SET: ClassVar[ThreatModel]
    SAMPLES_RECIPIENT: ClassVar[ThreatModel]

    @property
    def value(self) -> str:
        """The name as plain text."""
        return str(self)

    @property
    def sees(self) -> str:
        """What the attacker sees as its package says it; empty where the catalogues do."""
        row = _DECLARED.get(self.value)
        return row.sees if row is not None else ""

    @property
    def phrase(self) -> str:
        """The same as the object of "who sees"; the name if nobody says it."""
        row = _DECLARED.get(self.value)
        return (row.phrase if row is not None else "") or self.value

    def __str__(self) -> str:
        """The name."""
        return str.__str__(self)

    @classmethod
    def __get_pydantic_core_schema__(
        cls,
        source: type[Any],
        handler: GetCoreSchemaHandler,
    ) -> CoreSchema:
        """Text of the right form, as an instance of this class."""
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(pattern=_PATTERN)
        )


def declare_threats(threats: Iterable[Threat]) -> None:
    """Add threat models to the table: those of kinds that other packages bring.

    Raises:
        ConfigError: One is there already and means something else.
    """
    for threat in threats:
        if _DECLARED.setdefault(threat.id, threat) != threat:
            raise ConfigError(
                f"threat model {threat.id!r} is declared twice, differently",
                fix="Give it another name.",
            )


def threats_known() -> tuple[Threat, ...]:
    """Every threat model that is declared."""
    return tuple(_DECLARED.values())


_BUILT_IN = (
    Threat(id="none"),
    Threat(id="classifier/labels"),
    Threat(id="classifier/logits"),
    Threat(id="classifier/weights"),
    Threat(id="samples/set"),
    Threat(id="samples/recipient"),
)
_DECLARED: dict[str, Threat] = {threat.id: threat for threat in _BUILT_IN}

ThreatModel.NONE = ThreatModel("none")
ThreatModel.CLASSIFIER_LABELS = ThreatModel("classifier/labels")
ThreatModel.CLASSIFIER_LOGITS = ThreatModel("classifier/logits")
ThreatModel.CLASSIFIER_WEIGHTS = ThreatModel("classifier/weights")
ThreatModel.SAMPLES_SET = ThreatModel("samples/set")
ThreatModel.SAMPLES_RECIPIENT = ThreatModel("samples/recipient")
