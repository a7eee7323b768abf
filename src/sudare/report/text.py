"""Sentences and names for the report's reader, by key.

One catalogue per language; code and page templates ask for a key and never join fragments.
"""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core import SudareError, ThreatModel
from sudare.core.runs import Mode
from sudare.report.names import ATTACKS, CANARIES, FINDINGS, METRICS, SEES
from sudare.report.sentences import TEXT

__all__ = ["TEXT", "attack_name", "finding_name", "listed", "say", "sees", "worded"]


def say(key: str, /, **fields: str | int) -> str:
    """The sentence of a key with its fields filled in.

    Raises:
        SudareError: No such key, or a field is missing.
    """
    try:
        return TEXT[key].format_map(fields)
    except KeyError as error:
        raise SudareError(
            f"the report text {key!r} lacks {error}", fix="Add it to report/sentences.py."
        ) from error


def worded(key: str, mode: Mode, /, **fields: str | int) -> str:
    """The sentence of a key as this kind of run needs it: ``key_given``, else ``key``."""
    own = f"{key}_{mode.value}"
    return say(own if own in TEXT else key, **fields)


def listed(names: Sequence[str], *, most: int = 1000) -> str:
    """Names as a list in a sentence: "a, b and c"; "a, b; and c" where a name has a comma.

    Of more than ``most`` names the last ones are counted: "a, b and 5 others".
    """
    if not names:
        return say("none")
    if len(names) > most:
        names = [*names[: most - 1], say("list_others", count=len(names) - most + 1)]
    long = "_long" if any("," in name for name in names) else ""
    head = names[0]
    for name in names[1:-1]:
        head = say(f"list_step{long}", first=head, last=name)
    return head if len(names) == 1 else say(f"list_two{long}", first=head, last=names[-1])


def attack_name(attack: str) -> str:
    """The human name of an attack id such as ``membership.lira``; else the id itself."""
    return ATTACKS.get(attack, attack)


def finding_name(name: str) -> str:
    """The human name of a finding id; an unknown id is its own name.

    >>> finding_name("membership.lira.tpr@0.01")
    'LiRA, online: members found at 1 % false alarms (TPR at 1 % FPR)'
    >>> finding_name("canaries.mislabelled.lira.auc")
    'Mislabelled canaries: LiRA, online: AUC'
    """
    if name in FINDINGS:
        return FINDINGS[name]
    if name.startswith("canaries."):
        _, kind, rest = name.split(".", 2)
        return f"{CANARIES.get(kind, kind)}: {finding_name(f'membership.{rest}')}"
    # A metric such as tpr@0.01 holds a dot itself, so the id is split at its second dot.
    parts = name.split(".", 2)
    attack, metric = ".".join(parts[:2]), parts[-1]
    if attack in ATTACKS and metric in METRICS:
        return METRICS[metric].format(attack=ATTACKS[attack])
    return name


def sees(threat_model: ThreatModel) -> str:
    """What the attacker sees, as an object of "who sees"."""
    return SEES.get(threat_model.value, threat_model.value)
