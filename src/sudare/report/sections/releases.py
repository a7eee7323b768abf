"""What each release hands over, what it is good for, what it leaks and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.wording import reworded, say
from sudare.report.blocks import Block, Cell, Folded, Meanings, Paragraph, Table
from sudare.report.drawing import looks, swatch
from sudare.report.load import Run
from sudare.report.sections.base import Section
from sudare.report.tables import number_cell
from sudare.report.text import worded


def sections(run: Run) -> Sequence[Section]:
    """One table, and the guarantees in full."""
    blocks: list[Block] = [Paragraph(say("p_releases")), releases_table(run)]
    if told := guarantees(run):
        blocks.append(Folded(say("guarantees"), [Meanings(told)]))
    title = worded("h_releases", run.summary.mode)
    return [Section(name="releases", title=title, blocks=blocks, place="figures")]


def releases_table(run: Run) -> Table:
    """What leaves, what it is good for, what it leaks and what it costs."""
    # What an attacker learns stands beside the name: on a phone it is seen without scrolling.
    columns = ("release", "auc", "utility", "tpr", "guarantee", "build", "storage")
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    rows = []
    for name, release in run.releases.items():
        attack = run.primary_attack(name)
        running = not run.summary.complete and release.builds_done < release.builds_planned
        found = (
            run.utility(name),
            run.leakage(name),
            run.get(f"{attack}.tpr@0.01", name),
            run.get("cost.build_cpu_s", name),
            run.get("cost.storage_mb", name),
        )
        utility, auc, tpr, build, storage = (number_cell(item, running=running) for item in found)
        small = reworded(release.what_leaves)
        if run.is_baseline(name):
            small = say("leaves_baseline", leaves=small)
        if run.shows_members(name):
            # No figure of an attack on a model says anything about what is handed over itself.
            auc = Cell(text=say("contains_private"), small=auc.text, sort="2", kind="bad")
        head = Cell(text=run.label(name), small=small, mark=swatch(styles[name]))
        rows.append((head, auc, utility, tpr, _guarantee(run, name), build, storage))
    return Table(
        name="releases",
        caption=say("cap_releases"),
        columns=[say(f"c_{column}") for column in columns],
        rows=rows,
    )


def guarantees(run: Run) -> list[tuple[str, str]]:
    """Releases with a formal guarantee, and its text in full."""
    return [
        (run.label(name), reworded(release.guarantee))
        for name, release in run.releases.items()
        if release.guarantee
    ]


def _guarantee(run: Run, release: str) -> Cell:
    """Its epsilon; the full text has conditions and stands below the table."""
    known = reworded(run.releases[release].guarantee)
    epsilon = run.get("privacy.epsilon", release)
    seen = run.get(f"{run.primary_attack(release)}.epsilon_seen", release)
    small = ""
    if seen is not None and seen.value is not None:
        small = say("epsilon_seen", epsilon=f"{seen.value:.2g}")
    if epsilon is not None and epsilon.value is not None:
        return Cell(text=say("guarantee_epsilon", epsilon=f"{epsilon.value:.3g}"), small=small)
    return Cell(text=known or say("no_guarantee"), small=small)
