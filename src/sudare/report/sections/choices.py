"""What builds chose among: a chart for each choice, and the candidates as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
from markupsafe import Markup

from sudare.core.runs import ShownChoice
from sudare.core.wording import reworded, say
from sudare.report.blocks import Chart
from sudare.report.drawing import COLOURS, PAPER, draw, rows
from sudare.report.load import Run
from sudare.report.sections.base import Section, explained, pictures_of

_WIDTH_PX, _CHART_PX = 700, 560
_WHAT = {"generator": "choice_generator", "sigma": "choice_sigma", "filter": "choice_filter"}


def sections(run: Run) -> Sequence[Section]:
    """Charts and pictures for the house; none where no build chose anything."""
    choices = run.summary.choices
    images = pictures_of(run, "choices", largest=_WIDTH_PX, key="choice_picture")
    if not choices and not images:
        return []
    charts = [Chart(_chart(run, index, choice)) for index, choice in enumerate(choices)]
    blocks = explained(say("p_choices"), charts=charts, images=images, sheets=True)
    return [Section(name="choices", title=say("s_choices"), blocks=blocks)]


def _chart(run: Run, index: int, choice: ShownChoice) -> Markup:
    what = say(_WHAT[choice.what]) if choice.what in _WHAT else choice.what
    options = [*map(reworded, choice.options)]
    points = [
        {"option": option, "score": score, "taken": taken == at}
        for scores, taken in zip(choice.scores, choice.chosen, strict=True)
        for at, (option, score) in enumerate(zip(options, scores, strict=True))
        if score is not None
    ]
    colour = next(iter(COLOURS))
    chart = (
        alt.Chart(rows(points))
        .mark_point(size=70, strokeWidth=1.4, opacity=0.9)
        .encode(
            x=alt.X(
                "option:N",
                sort=options,
                title=f"{run.label(choice.release)}: {what}",
                axis=alt.Axis(labelAngle=0),
            ),
            y=alt.Y("score:Q", title=say("choices_y"), scale=alt.Scale(zero=False)),
            stroke=alt.value(colour),
            fill=alt.condition("datum.taken", alt.value(colour), alt.value(PAPER)),
        )
        .properties(width=_CHART_PX, height=200)
    )
    return draw(
        chart,
        name=f"choice-{index}",
        alt_text=say("choices_alt", label=run.label(choice.release), what=what),
    )
