"""The card: what a release is, what it was made with, and which of its numbers leak."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from sudare.accounting.ledger import LedgerEntry
from sudare.core.wording import Wording, say
from sudare.releases.registry import KINDS, kind_class

RELEASE_SCHEMA = "sudare.release/2"
MAX_CLASSES = 10_000
# A card is read before it is trusted: nothing in it may be large enough to be a burden.
Line: TypeAlias = Annotated[str, Field(max_length=300)]
Heading: TypeAlias = Annotated[Wording, Field(max_length=300)]
Sentence: TypeAlias = Annotated[Wording, Field(max_length=4_000)]
Text: TypeAlias = Annotated[str, Field(max_length=4_000)]
Side: TypeAlias = Annotated[int, Field(ge=1, le=4_096)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Spec(_Value):
    """What a kind of release adds to the card; each kind has its own."""


class FileEntry(_Value):
    """A file of the release."""

    name: Literal["README.md", "tensors.safetensors"]
    bytes: int = Field(ge=0, le=4 * 2**30)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Statistic(_Value):
    """A number that was computed on private images, and how it was protected."""

    name: Line
    value: Text
    status: Literal["public", "noised", "leak"] = Field(
        description="public: taken from public data; noised: in the ledger; leak: neither."
    )


class Card(_Value):
    """The file ``release.json``. It holds no seed, no private index and no private hash."""

    schema_name: str = Field(default=RELEASE_SCHEMA, alias="schema")
    kind: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="What it can do.")
    route: Line = Field(description="How it was made.")
    title: Heading = Field(description="One line for people.")
    what_leaves: Sentence = Field(description="One sentence: what the recipient gets.")
    purpose: Literal["release", "evaluation"] = Field(
        default="release",
        description="'evaluation' copies were built for an audit and are not meant to be shared.",
    )
    class_names: tuple[Line, ...] = Field(min_length=2, max_length=MAX_CLASSES)
    image_shape: tuple[Side, Side, Side] = Field(description="Channels, height, width.")
    spec: SerializeAsAny[Spec] = Field(default=Spec(), description="What its kind adds.")
    settings: dict[Line, Text] = Field(
        default_factory=dict, max_length=200, description="How it was trained."
    )
    statistics: tuple[Statistic, ...] = Field(default=(), max_length=200)
    ledger: tuple[LedgerEntry, ...] = Field(default=(), max_length=200)
    guarantee: Sentence = Field(default="", description="Formal guarantee in words, or empty.")
    data_name: Line = Field(default="", description="The collection's public name, or empty.")
    data_licence: Line = ""
    files: tuple[FileEntry, ...] = Field(default=(), max_length=2)

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )

    @field_validator("spec", mode="wrap")
    @classmethod
    def _of_its_kind(
        cls, value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Spec:
        # Values from a file are checked against the kind's own fields.
        if isinstance(value, Spec):
            return value
        kind = str(info.data.get("kind"))
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is not known here")
        return kind_class(kind).spec_class.model_validate(value)

    def to_markdown(self) -> str:
        """The card as the text of ``README.md``."""
        told = {f"{self.kind}.{name}": str(value) for name, value in self.spec}
        rows = [f"| {name} | {value} |" for name, value in sorted((told | self.settings).items())]
        leaks = [f"- {s.name}: {s.value} ({s.status})" for s in self.statistics]
        spent = [
            say(
                "card.spent",
                purpose=e.purpose,
                mechanism=e.mechanism,
                noise=f"{e.noise_multiplier:.4g}",
                rate=f"{e.sample_rate:.4g}",
                steps=e.steps,
                epsilon=f"{e.epsilon:.3f}",
                delta=f"{e.delta:g}",
            )
            for e in self.ledger
        ]
        facts = [
            say("card.kind", kind=self.kind, route=self.route),
            say("card.classes", names=", ".join(self.class_names)),
            say("card.images", shape=" x ".join(map(str, self.image_shape))),
            say("card.data", name=self.data_name or say("card.unnamed"), licence=self.data_licence),
            say("card.guarantee", text=self.guarantee or say("none")),
        ]
        evaluation = self.purpose == "evaluation"
        return "\n".join(
            [
                f"# {self.title}\n",
                *([f"**{say('card.evaluation')}**\n"] if evaluation else []),
                f"{self.what_leaves}\n",
                *(f"- {fact}" for fact in facts),
                f"\n## {say('card.settings')}\n",
                f"| {say('card.setting')} | {say('card.value')} |",
                "| --- | --- |",
                *rows,
                f"\n## {say('card.numbers')}\n",
                *(leaks or [say("card.no_numbers")]),
                f"\n## {say('card.ledger')}\n",
                *([f"- {line}" for line in spent] or [say("card.no_ledger")]),
                f"\n{say('card.use')}\n",
            ]
        )
