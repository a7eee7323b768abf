"""What the run cannot say, its data, machine and versions, and how to repeat it."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.runs import DataSummary, Mode
from sudare.core.wording import listed, reworded, say
from sudare.report.blocks import Block, Cell, Code, Folded, Heading, Paragraph, Points, Table
from sudare.report.load import Run
from sudare.report.sections.base import Section
from sudare.report.text import builds_text, worded

_MOST_LIMITS = 4
"""Of a longer list only its heading is seen until it is unfolded."""


def sections(run: Run) -> Sequence[Section]:
    """Limits and tables folded; command and configuration inside the house."""
    told, data, facts = limits(run), data_table(run), run_table(run)
    blocks: list[Block] = [
        Folded(
            say("counted", what=say("h_limits"), count=len(told)),
            [Points(told)],
            opened=len(told) <= _MOST_LIMITS,
        ),
        Folded(f"{data.caption}; {facts.caption}", [data, facts]),
    ]
    if run.public:
        blocks.append(Paragraph(say("footer_public")))
    else:
        blocks += [Heading(say("h_repeat")), Code(run.summary.command)]
        if run.config:
            blocks.append(Folded(say("h_config"), [Code(run.config)]))
    return [Section(name="run", title=say("h_run"), blocks=blocks, place="record")]


def data_table(run: Run) -> Table:
    """Name, licence, source; how many images only on the internal page."""
    data = run.summary.data
    channels, height, width = data.image_shape
    facts = [
        (say("r_name"), data.name),
        (say("r_licence"), data.licence or say("not_given")),
        (say("r_source"), data.source or say("not_given")),
        (say("r_classes"), listed(data.class_names)),
    ]
    # Records that are no images have the shape of one pixel.
    if height * width > 1:
        shape = say("v_shape", height=height, width=width, channels=channels)
        facts.append((say("r_shape"), shape))
    facts += [(say("r_notes"), reworded(note)) for note in data.notes]
    if not run.public:
        facts += _counts(data)
    return _facts("data", say("cap_data"), facts)


def run_table(run: Run) -> Table:
    """Dates, builds, versions, commitment; times, seed and machine only on the internal page."""
    summary = run.summary
    internal = not run.public
    # To strangers a day is enough: how long a run took tells how much there was to work on.
    facts = [(say("r_started"), summary.started if internal else summary.started[:10])]
    if internal:
        facts.append((say("r_updated"), summary.updated))
        facts.append((say("r_wall"), _clock(summary.wall_s)))
    if summary.mode is not Mode.GIVEN:
        facts.append((worded("r_builds", summary.mode), builds_text(summary)))
    if internal:
        facts.append((say("r_seed"), str(summary.seed)))
        facts += [(say("r_machine", name=name), text) for name, text in summary.machine.items()]
    if summary.membership_commitment:
        facts.append((say("r_commitment"), summary.membership_commitment))
    facts += [(say("r_version", name=name), text) for name, text in summary.versions.items()]
    return _facts("run", say("cap_run"), facts)


def limits(run: Run) -> list[str]:
    """What the run cannot say: what holds of every run, then what the audit wrote."""
    known = [say("limit_attack")]
    if run.summary.mode is Mode.COMPARISON:
        known = [say("limit_half"), *known, say("limit_worst")]
    return [*known, *map(reworded, run.summary.limits)]


def _counts(data: DataSummary) -> list[tuple[str, str]]:
    removed = [
        say("v_removed", part=say(f"part.{part}"), count=count)
        for part, count in data.removed.items()
    ]
    pool = say(
        "v_pool", images=f"{data.pool:,}", units=f"{data.pool_units:,}", merged=f"{data.merged:,}"
    )
    parts = say(
        "v_parts",
        public=f"{data.public:,}",
        population=f"{data.population:,}",
        test=f"{data.test:,}",
    )
    return [
        (say("r_pool"), pool),
        (say("r_parts"), parts),
        (say("r_removed"), listed(removed)),
    ]


def _facts(name: str, caption: str, facts: list[tuple[str, str]]) -> Table:
    return Table(
        name=name,
        caption=caption,
        columns=[say("c_field"), say("c_content")],
        rows=[(Cell(text=field), Cell(text=content)) for field, content in facts],
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return say("clock", hours=hours, minutes=f"{minutes:02d}", seconds=f"{rest:02d}")
