"""What figures are called where a person types them: short names, ids, rates, near misses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from sudare.audits.checks.registry import declare_figures
from sudare.core.errors import ConfigError
from sudare.core.figures import declared, figure_of

_SHORT = {
    "accuracy": "utility.accuracy",
    "balanced_accuracy": "utility.balanced_accuracy",
    "ece": "utility.ece",
    "worst_class": "fairness.worst_class",
    "robust_accuracy": "evasion.autoattack.accuracy",
    "epsilon": "privacy.epsilon",
    "transfer_mb": "cost.transfer_mb",
    "storage_mb": "cost.storage_mb",
    "build_cpu_s": "cost.build_cpu_s",
}
_OF_ATTACK = ("auc", "tpr", "exposed_10x", "precision", "worst_case")


def full_name(name: str, *, primary: str) -> str:
    """The id that a short name stands for, with its rate as findings write it.

    Args:
        name: Such as ``accuracy``, ``tpr@0.01``, or an id.
        primary: The attack that ``auc`` and ``tpr@...`` are about.

    >>> full_name("tpr@0.010", primary="rmia"), full_name("utility.ece", primary="rmia")
    ('membership.rmia.tpr@0.01', 'utility.ece')
    """
    stem, sign, rate = name.partition("@")
    of_attack = stem in _OF_ATTACK and primary
    stem = f"membership.{primary}.{stem}" if of_attack else _SHORT.get(stem, stem)
    return normal_name(f"{stem}{sign}{rate}")


def normal_name(name: str) -> str:
    """An id with its rate as findings write it: tpr@0.00001 is tpr@1e-05.

    >>> normal_name("membership.rmia.tpr@0.00001"), normal_name("utility.ece")
    ('membership.rmia.tpr@1e-05', 'utility.ece')
    """
    stem, sign, rate = name.partition("@")
    try:
        return f"{stem}@{float(rate):g}" if sign else name
    except ValueError:
        return name


def check_figure(name: str, attacks: Sequence[str], *, where: str) -> None:
    """Refuse an id that no finding of a run can have.

    Args:
        name: The id, with its rate.
        attacks: Membership tests of the run.
        where: The option it was given to.

    Raises:
        ConfigError: There will be no such finding.
    """
    declare_figures()
    if not _will_be(name, attacks):
        raise ConfigError(
            f"there will be no finding {name!r}",
            where=where,
            fix=nearest(name, [*_SHORT, *_OF_ATTACK, *figure_names(attacks)])
            or "`sudare config figures` lists them.",
        )


def figure_names(attacks: Sequence[str]) -> list[str]:
    """Ids of findings without their rates; * stays where a part of a check stands."""
    found = []
    for stem in declared():
        room, _, rest = stem.partition(".*.")
        of_attacks = rest and room == "membership"
        found += [f"{room}.{name}.{rest}" for name in attacks] if of_attacks else [stem]
    return found


def _will_be(name: str, attacks: Sequence[str]) -> bool:
    stem = name.partition("@")[0]
    # Planted images are attacked like all others: canaries.KIND.ATTACK.FIGURE.
    if stem.startswith("canaries.") and stem.count(".") >= 3:
        stem = "membership." + stem.split(".", 2)[2]
    if stem.startswith("membership."):
        return stem in figure_names(attacks)
    return figure_of(name) is not None


def nearest(name: str, known: Iterable[str]) -> str:
    """A question, where something is called nearly so."""
    stem, sign, rate = name.partition("@")
    known = list(known)
    found = [each for each in known if each.endswith(f".{stem}")]
    found = found or difflib.get_close_matches(stem, known, n=1, cutoff=0.5)
    return f"Did you mean {found[0]}{sign}{rate}?" if found else ""
