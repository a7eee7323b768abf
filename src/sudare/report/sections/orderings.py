"""Orders that theory or the literature expects: which hold in this run, which do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from sudare.core import Finding
from sudare.core.lines import ordered
from sudare.core.runs import Mode
from sudare.core.wording import say
from sudare.report.blocks import Block, Cell, Folded, Paragraph, Table
from sudare.report.formats import range_text, value_text
from sudare.report.load import Run, interval
from sudare.report.sections.base import Section
from sudare.report.text import attack_name, finding_name

_ONLINE = ("lira", "rmia", "bavaria")
# Below this, the spread of "in" scores is hardly known.
_FEW_SHADOWS = 10


class Outcome(StrEnum):
    """How an expected order came out."""

    VIOLATED = "violated"
    OPEN = "open"
    HOLDS = "holds"


class Ranking(StrEnum):
    """Which order is expected."""

    ONLINE = "online"
    """An attack that knows scores of members does no worse than its offline form."""
    EPSILON = "epsilon"
    """A smaller epsilon leaks no more."""
    SMOOTHING = "smoothing"
    """Negative smoothing leaks no more than none, none no more than positive smoothing."""
    PRICE = "price"
    """Differential privacy is no more useful than none."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One figure that is expected to be at most another.

    Attributes:
        ranking: Why.
        lower: The figure that should be lower, or equal.
        higher: The figure that should be higher, or equal.
    """

    ranking: Ranking
    lower: Finding
    higher: Finding

    @property
    def outcome(self) -> Outcome:
        """Resolved only where the two intervals share no point."""
        held = ordered(self.lower, self.higher)
        return {True: Outcome.HOLDS, False: Outcome.VIOLATED, None: Outcome.OPEN}[held]


def sections(run: Run) -> Sequence[Section]:
    """How many hold, those that do not, and all folded; none where none is expected."""
    table, violated = orderings_table(run), orderings_table(run, violated=True)
    if table is None:
        return []
    blocks: list[Block] = [Paragraph(say("p_orderings")), Paragraph(orderings_summary(run))]
    if violated is not None:
        blocks.append(violated)
    blocks.append(Folded(say("all_orderings", count=len(table.rows)), [table]))
    return [Section(name="orderings", title=say("h_orderings"), blocks=blocks, place="figures")]


def expectations(run: Run) -> list[Expectation]:
    """Every expected order whose two figures this run has; none where membership was redrawn."""
    if run.summary.null_control:
        return []
    found = list(_online(run))
    if run.summary.mode is Mode.COMPARISON:
        found += [*_epsilon(run), *_scales(run), *_price(run)]
    return found


def orderings_table(run: Run, *, violated: bool = False) -> Table | None:
    """Expected orders with both intervals, violated ones on top; None without any.

    Args:
        run: The run.
        violated: Only those that do not hold.
    """
    order = tuple(Outcome)
    found = sorted(expectations(run), key=lambda item: order.index(item.outcome))
    found = [item for item in found if item.outcome is Outcome.VIOLATED or not violated]
    if not found:
        return None
    kinds = {Outcome.VIOLATED: "bad", Outcome.OPEN: "open", Outcome.HOLDS: "good"}
    rows = [
        (
            Cell(text=say(f"order_{item.ranking.value}")),
            _side(run, item, item.lower),
            _side(run, item, item.higher),
            Cell(text=say(f"order_{item.outcome.value}"), kind=kinds[item.outcome]),
            Cell(text=_remark(run, item)),
        )
        for item in found
    ]
    columns = ("expected", "lower", "higher", "verdict", "remark")
    table = Table(
        name="violated" if violated else "orderings",
        caption=say("cap_orderings"),
        columns=[say(f"c_{name}") for name in columns],
        rows=rows,
    )
    return table.without_empty()


def orderings_summary(run: Run) -> str:
    """How many orders hold, do not hold and are not resolved, in a sentence."""
    outcomes = [item.outcome for item in expectations(run)]
    return say("orderings_count", **{outcome.value: outcomes.count(outcome) for outcome in Outcome})


def _online(run: Run) -> Iterator[Expectation]:
    for release in run.releases:
        for family in _ONLINE:
            lower = run.get(f"membership.{family}_offline.auc", release)
            higher = run.get(f"membership.{family}.auc", release)
            yield from _expected(Ranking.ONLINE, lower, higher)


def _epsilon(run: Run) -> Iterator[Expectation]:
    routes = dict.fromkeys(release.route for release in run.releases.values())
    for route in routes:
        private = [name for name in _private(run) if run.releases[name].route == route]
        private.sort(key=lambda name: _private(run)[name])
        for stronger, weaker in _neighbours(run, private):
            if _private(run)[stronger] < _private(run)[weaker]:
                lower, higher = run.leakage(stronger), run.leakage(weaker)
                yield from _expected(Ranking.EPSILON, lower, higher)


def _scales(run: Run) -> Iterator[Expectation]:
    """Neighbours on every scale that releases stand on and this version has words for."""
    for scale in dict.fromkeys(name for r in run.releases.values() for name in r.scales):
        if scale not in tuple(Ranking):
            continue
        standing = [name for name, release in run.releases.items() if scale in release.scales]
        standing.sort(key=lambda name: run.releases[name].scales[scale])
        for below, above in _neighbours(run, standing):
            if run.releases[below].scales[scale] < run.releases[above].scales[scale]:
                yield from _expected(Ranking(scale), run.leakage(below), run.leakage(above))


def _neighbours(run: Run, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Neighbours in an order, among variants that share what makes them comparable."""
    for alike in dict.fromkeys(run.releases[name].alike for name in names):
        yield from pairwise(name for name in names if run.releases[name].alike == alike)


def _price(run: Run) -> Iterator[Expectation]:
    for name in _private(run):
        reference = run.releases[name].unprotected
        alike = run.releases[name].alike
        free = [
            other
            for other in _of_route(run, reference)
            if other not in _private(run) and run.releases[other].alike == alike
        ]
        for other in free[:1]:
            mine, theirs = run.utilities(name), run.utilities(other)
            shared = [figure for figure in mine if figure in theirs]
            for figure in shared[:1]:
                yield from _expected(Ranking.PRICE, mine[figure], theirs[figure])


def _expected(
    ranking: Ranking, lower: Finding | None, higher: Finding | None
) -> Iterator[Expectation]:
    if lower is not None and higher is not None and None not in (lower.value, higher.value):
        yield Expectation(ranking=ranking, lower=lower, higher=higher)


def _private(run: Run) -> dict[str, float]:
    """Releases with a guarantee, and their epsilon."""
    found = {name: interval(run.get("privacy.epsilon", name)) for name in run.releases}
    return {name: epsilon.value for name, epsilon in found.items() if epsilon is not None}


def _of_route(run: Run, route: str) -> Sequence[str]:
    return [name for name, release in run.releases.items() if release.route == route]


def _side(run: Run, item: Expectation, finding: Finding) -> Cell:
    label = run.label(finding.release)
    if item.ranking is Ranking.ONLINE:
        who = say("order_side", who=attack_name(finding.id.removesuffix(".auc")), label=label)
    elif item.ranking is Ranking.PRICE:
        who = say("order_side", who=label, label=finding_name(finding.id).lower())
    else:
        who = label
    value, ends = value_text(finding), range_text(finding)
    number = say("order_number", value=value, range=ends) if ends else value
    return Cell(text=who, small=number, sort=f"{finding.value:.4g}")


def _remark(run: Run, item: Expectation) -> str:
    """What may be behind a violated order; possible causes, none of them shown."""
    if item.outcome is not Outcome.VIOLATED:
        return ""
    shadows = run.summary.builds // 2 - 1
    if item.ranking is Ranking.ONLINE and shadows < _FEW_SHADOWS:
        return say("cause_online_few", shadows=max(shadows, 0))
    return say(f"cause_{item.ranking.value}")
