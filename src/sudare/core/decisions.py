"""What is decided about a release: an answer to each question, and what follows from them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Outcome(StrEnum):
    """What to do with a release."""

    SHARE = "share"
    CARE = "care"
    REFUSE = "refuse"
    UNKNOWN = "unknown"


class Reply(StrEnum):
    """Answer to a question about a release."""

    CLEAN = "clean"
    BETWEEN = "between"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not_measured"
    LEAKS = "leaks"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Settle(_Value):
    """What would settle an open answer."""

    what: str = Field(
        description="builds, units, images, check, attack, shadows, reference, pair or fault."
    )
    count: int = Field(default=0, ge=0, description="How many, where that can be said; else 0.")
    name: str = Field(default="", description="Which check or attack.")


class Answer(_Value):
    """One question about one release, and what its answer rests on."""

    question: str = Field(description="Id of the question, such as copies or average.")
    reply: Reply
    findings: tuple[str, ...] = Field(default=(), description="Ids it rests on, the worst first.")
    line: float | None = Field(default=None, description="The line it was held against.")
    proven: bool = Field(default=False, description="Whether a guarantee answers it.")
    reason: str = Field(default="", description="Code of the reason, such as no_interval.")
    settle: Settle | None = Field(default=None, description="What would settle it.")


class Decision(_Value):
    """What to do with a release, and why."""

    release: str
    outcome: Outcome
    answers: tuple[Answer, ...]

    def answer(self, question: str) -> Answer | None:
        """The answer to a question, or None where it was not asked."""
        return next((one for one in self.answers if one.question == question), None)

    @property
    def deciding(self) -> tuple[Answer, ...]:
        """The answers that made the outcome, in the order of the questions."""
        replies = {
            Outcome.REFUSE: {Reply.LEAKS},
            Outcome.UNKNOWN: {Reply.UNDECIDED, Reply.NOT_MEASURED},
            Outcome.CARE: {Reply.BETWEEN},
            Outcome.SHARE: set(Reply),
        }[self.outcome]
        return tuple(one for one in self.answers if one.reply in replies)
