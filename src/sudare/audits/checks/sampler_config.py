"""Settings of the attacks on distributions of features; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sudare.audits.checks.config import CheckConfig


class SamplerCheckConfig(CheckConfig):
    """Ranges, nearest samples, latent search or likelihood; spread and coverage."""

    check: ClassVar[str] = "sudare.audits.checks.sampler:SamplerCheck"

    kind: Literal["sampler"] = "sampler"
    samples_per_class: int = Field(
        default=500, ge=2, le=100_000, description="Samples an attacker of T1 draws."
    )
    latent_images: int = Field(
        default=400, ge=0, description="Pool images searched for in the latent space; 0: none."
    )
    latent_steps: int = Field(default=100, ge=1, description="Steps of each search.")
