"""Names of what other rooms have ids for: attacks, findings, planted images, threat models."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core import ThreatModel
from sudare.core.figures import Figure, figure_of, rate_of
from sudare.core.runs import Mode, RunSummary
from sudare.core.wording import known, reworded, say


def spoken_or(keys: Sequence[str], /, **fields: str | int) -> str:
    """The sentence of the first of some keys that there is."""
    return say(next(key for key in keys if key in known()), **fields)


def builds_text(summary: RunSummary) -> str:
    """How many builds each release has: a number, or a range where routes differ."""
    planned = [release.builds_planned for release in summary.releases if release.builds_planned]
    if summary.mode is not Mode.COMPARISON or len(set(planned)) < 2:
        return str(summary.builds)
    return say("builds_range", low=min(planned), high=max(planned))


def worded(key: str, mode: Mode, /, **fields: str | int) -> str:
    """The sentence of a key as this kind of run needs it: ``key_given``, else ``key``."""
    own = f"{key}_{mode.value}"
    return say(own if own in known() else key, **fields)


def attack_name(attack: str) -> str:
    """The human name of an attack id such as ``membership.lira``.

    >>> attack_name("membership.my_own")
    'My own'
    """
    if f"attack.{attack}" in known():
        return say(f"attack.{attack}")
    figure = figure_of(f"{attack}.auc")
    if figure is not None and "{attack}" not in figure.name and not figure.id.startswith("memb"):
        return figure.name.partition(":")[0] or _in_words(attack.rpartition(".")[2])
    return _in_words(attack.rpartition(".")[2])


def finding_name(name: str, *, part: str = "") -> str:
    """The human name of a finding id.

    Args:
        name: The id.
        part: Which images it is about, where it is about the most exposed.

    >>> finding_name("membership.lira.tpr@0.01")
    'LiRA, online: members found at 1 % false alarms (TPR at 1 % FPR)'
    >>> finding_name("canaries.mislabelled.lira.auc")
    'Mislabelled images: LiRA, online: AUC'
    >>> finding_name("evasion.pgd.success_rate")
    'Evasion, pgd: success rate'
    """
    if name.startswith("canaries.") and name.count(".") >= 3:
        _, kind, rest = name.split(".", 2)
        of_them = finding_name(f"membership.{rest}")
        return say("of_planted", kind=canary_name(kind), name=of_them)
    # A rate such as that of tpr@0.01 holds a dot itself, so the id is split at its first two.
    room, _, rest = name.partition(".")
    attack, _, leaf = rest.partition(".")
    figure, rate = figure_of(name), rate_of(name)
    if figure is not None:
        return _figure_name(
            figure,
            attack=attack_name(f"{room}.{attack}"),
            rate="" if rate is None else say("percent", value=f"{100 * rate:g}"),
            part=part or say("part_exposed"),
            at="" if rate is None else f"{rate:g}",
        )
    if not leaf:
        return _in_words(f"{room}: {attack.replace('.', ' ')}" if attack else room)
    who = attack_name(f"{room}.{attack}")
    return f"{who if room == 'membership' else _in_words(f'{room}, {attack}')}: {_plain(leaf)}"


def _figure_name(figure: Figure, **fields: str) -> str:
    """Its row in the catalogue, else the words that a package declared it with."""
    if figure.name:
        return figure.name.format(**fields)
    key = _row(figure, "name")
    return say(key, **fields) if key else _in_words(figure.id)


def _row(figure: Figure, part: str) -> str:
    """The key of a figure's own row, else that of its family, else nothing."""
    room, _, rest = figure.id.partition(".")
    family = f"{room}.*.{rest.partition('.')[2]}"
    keys = (f"figure.{name}.{part}" for name in (figure.id, family))
    return next((key for key in keys if key in known()), "")


def explained(name: str) -> tuple[str, str] | None:
    """A figure's short name and what it means in a sentence or two, or None.

    >>> explained("membership.rmia.null_auc")[0]
    'Null control'
    """
    figure = figure_of(name)
    if figure is None:
        return None
    if figure.meaning:
        return figure.short, figure.meaning
    short, meaning = _row(figure, "short"), _row(figure, "meaning")
    return (say(short), say(meaning)) if short and meaning else None


def canary_name(kind: str) -> str:
    """The human name of a kind of canary."""
    key = f"canary.{kind}.name"
    return say(key) if key in known() else _in_words(kind)


def planted(kind: str) -> str:
    """What canaries of a kind are, as the end of a sentence; empty if that is not known."""
    key = f"canary.{kind}.what"
    return say(key) if key in known() else ""


def check_name(kind: str, label: str = "") -> str:
    """What a check is called: its row in the catalogue, else its label, else its name."""
    key = f"check.{kind}"
    return say(key) if key in known() else reworded(label) or _plain(kind)


def sees(threat_model: ThreatModel) -> str:
    """What the attacker sees, as an object of "who sees"."""
    key = f"threat.{threat_model.value}.phrase"
    return say(key) if key in known() else threat_model.phrase


def seen_by(threat_model: ThreatModel) -> str:
    """What the attacker sees, in one sentence."""
    key = f"threat.{threat_model.value}.sees"
    return say(key) if key in known() else threat_model.sees


def _in_words(name: str) -> str:
    """An id that has no name of its own, as words."""
    words = _plain(name)
    return words[:1].upper() + words[1:]


def _plain(name: str) -> str:
    return name.replace("_", " ")
