"""BIM: small steps along the sign of the gradient from the image itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sudare.attacks.evasion.pgd import Pgd


@dataclass(frozen=True, kw_only=True)
class Bim(Pgd):
    """Basic iterative method: projected gradient descent that starts at the image.

    Source:
        Kurakin, Goodfellow and Bengio 2017, "Adversarial examples in the physical world",
        section 2.2; ten steps of a fifth of the budget, as foolbox takes.
    """

    name: ClassVar[str] = "bim"

    steps: int = 10
    relative_step: float = 0.2
    random_start: bool = False
