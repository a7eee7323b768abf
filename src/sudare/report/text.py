"""Sentences and names for the report's reader, by key.

One catalogue per language; code and page templates ask for a key and never join fragments.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources

from sudare.core import SudareError, ThreatModel
from sudare.core.figures import figure_of, rate_of
from sudare.core.runs import Mode, RunSummary
from sudare.report.names import ATTACKS, CANARIES, PLANTED

LANGUAGES = ("en", "ja")
"""Each is a catalogue in ``report/languages``, of the same keys and fields."""

_CATALOGUE: ContextVar[Mapping[str, str]] = ContextVar("catalogue")


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Every sentence in a language.

    Raises:
        SudareError: A language there is no catalogue of.
    """
    if language not in LANGUAGES:
        raise SudareError(
            f"there is no report in {language!r}", fix=f"There is: {', '.join(LANGUAGES)}."
        )
    place = resources.files("sudare.report") / "languages" / f"{language}.toml"
    found: dict[str, str] = tomllib.loads(place.read_text(encoding="utf-8"))
    return found


@contextmanager
def spoken(language: str) -> Iterator[None]:
    """Say everything in a language, within the block."""
    before = _CATALOGUE.set(catalogue(language))
    try:
        yield
    finally:
        _CATALOGUE.reset(before)


def say(key: str, /, **fields: str | int) -> str:
    """The sentence of a key with its fields filled in.

    Raises:
        SudareError: No such key, or a field is missing.
    """
    try:
        return _known()[key].format_map(fields)
    except KeyError as error:
        raise SudareError(
            f"the report text {key!r} lacks {error}", fix="Add it to report/languages."
        ) from error


def spoken_or(keys: Sequence[str], /, **fields: str | int) -> str:
    """The sentence of the first of some keys that there is."""
    known = _known()
    return say(next(key for key in keys if key in known), **fields)


def _known() -> Mapping[str, str]:
    """The catalogue of the language that is spoken; English unless another one is."""
    return _CATALOGUE.get(None) or catalogue("en")


def builds_text(summary: RunSummary) -> str:
    """How many builds each release has: a number, or a range where routes differ."""
    planned = [release.builds_planned for release in summary.releases if release.builds_planned]
    if summary.mode is not Mode.COMPARISON or len(set(planned)) < 2:
        return str(summary.builds)
    return say("builds_range", low=min(planned), high=max(planned))


def worded(key: str, mode: Mode, /, **fields: str | int) -> str:
    """The sentence of a key as this kind of run needs it: ``key_given``, else ``key``."""
    own = f"{key}_{mode.value}"
    return say(own if own in _known() else key, **fields)


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
    """The human name of an attack id such as ``membership.lira``.

    >>> attack_name("membership.my_own")
    'My own'
    """
    figure = figure_of(f"{attack}.auc")
    if attack not in ATTACKS and figure is not None and "{attack}" not in figure.name:
        return figure.name.partition(":")[0]
    return ATTACKS.get(attack) or _spoken(attack.rpartition(".")[2])


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
        return f"{canary_name(kind)}: {finding_name(f'membership.{rest}')}"
    # A rate such as that of tpr@0.01 holds a dot itself, so the id is split at its first two.
    room, _, rest = name.partition(".")
    attack, _, leaf = rest.partition(".")
    figure, rate = figure_of(name), rate_of(name)
    if figure is not None:
        return figure.name.format(
            attack=attack_name(f"{room}.{attack}"),
            rate="" if rate is None else say("percent", value=f"{100 * rate:g}"),
            part=part or say("part_exposed"),
            at="" if rate is None else f"{rate:g}",
        )
    if not leaf:
        return _spoken(f"{room}: {attack.replace('.', ' ')}" if attack else room)
    who = attack_name(f"{room}.{attack}") if room == "membership" else _spoken(f"{room}, {attack}")
    return f"{who}: {leaf.replace('_', ' ')}"


def explained(name: str) -> tuple[str, str] | None:
    """A figure's short name and what it means in a sentence or two, or None.

    >>> explained("membership.rmia.null_auc")[0]
    'Null control'
    """
    figure = figure_of(name)
    return (figure.short, figure.meaning) if figure is not None and figure.meaning else None


def canary_name(kind: str) -> str:
    """The human name of a kind of canary."""
    return CANARIES.get(kind) or _spoken(kind)


def planted(kind: str) -> str:
    """What canaries of a kind are, as the end of a sentence; empty if that is not known."""
    return PLANTED.get(kind, "")


def _spoken(name: str) -> str:
    """An id that has no name of its own, as words."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def sees(threat_model: ThreatModel) -> str:
    """What the attacker sees, as an object of "who sees"."""
    own = _known().get(f"sees_{threat_model.value}")
    return own or threat_model.phrase
