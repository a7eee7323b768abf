"""Attacks that ask what a net would have learnt its classes from."""

from sudare.attacks.inversion.plugplay import Inverted, PlugAndPlay
from sudare.attacks.inversion.priors import (
    PcaPrior,
    Prior,
    VaePrior,
    fit_prior,
    load_prior,
    save_prior,
)

__all__ = [
    "Inverted",
    "PcaPrior",
    "PlugAndPlay",
    "Prior",
    "VaePrior",
    "fit_prior",
    "load_prior",
    "save_prior",
]
