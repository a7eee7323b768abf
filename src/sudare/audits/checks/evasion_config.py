"""Settings of evasion: which attacks, how far, how long; imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from sudare.attacks.registry import EVASION
from sudare.audits.checks.config import CheckConfig


class EvasionCheckConfig(CheckConfig):
    """How small a change of an image changes the answer, on test images."""

    check: ClassVar[str] = "sudare.audits.checks.evasion:EvasionCheck"

    kind: Literal["evasion"] = "evasion"
    builds: int | None = Field(default=4, ge=2, description="Builds of each release it measures.")
    images: int = Field(default=64, ge=1, description="Test images.")
    extractor_images: int = Field(
        default=8, ge=1, description="Test images where the way leads through an extractor."
    )
    attacks: tuple[str, ...] = Field(
        default=("fgsm", "pgd", "apgd-ce", "apgd-dlr", "square"),
        description="Those of apgd, fab and square are counted together as AutoAttack; as "
        "published it is apgd-ce, apgd-t, fab and square.",
    )
    epsilons: tuple[Annotated[float, Field(gt=0, le=255)], ...] = Field(
        default=(2, 8), description="Largest change of a pixel, in grey levels of 255."
    )
    steps: int = Field(default=20, ge=1, description="Steps of pgd, apgd and fab.")
    queries: int = Field(default=100, ge=1, description="Questions of square about each image.")
    targets: int = Field(default=3, ge=1, description="Other classes that apgd-t and fab aim at.")
    corruptions: bool = Field(default=True, description="Whether common corruptions are measured.")

    @field_validator("attacks")
    @classmethod
    def _known(cls, attacks: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in attacks if name not in EVASION]:
            known = ", ".join(sorted(EVASION))
            raise ValueError(f"there is no evasion attack called {unknown[0]!r}; known: {known}")
        return attacks

    @property
    def modules(self) -> tuple[str, ...]:
        """Of its attacks."""
        return tuple(EVASION[name].partition(":")[0] for name in self.attacks)

    def passes(self, *, extractor: bool) -> float:
        """Steps of every attack at every strength; half of them, for who is wrong drops out."""
        aimed = self.targets * self.steps
        steps = {"fgsm": 1.0, "apgd-t": aimed, "fab": 2 * aimed, "square": self.queries / 3}
        each = sum(steps.get(name, self.steps) for name in self.attacks)
        images = self.extractor_images if extractor else self.images
        return 0.5 * images * len(self.epsilons) * each
