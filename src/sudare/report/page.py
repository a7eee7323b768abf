"""From a run folder to its two pages: ``report.html`` (internal) and ``report-public.html``."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from altair.utils.schemapi import debug_mode
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sudare.core.files import atomic_write
from sudare.core.runs import Mode
from sudare.report.decisions import decisions_table, first_sentences
from sudare.report.drawing import dark_rules
from sudare.report.editions import Edition, public_copy
from sudare.report.facts import data_table, limits, run_table
from sudare.report.load import Run, load_run
from sudare.report.orderings import orderings_summary, orderings_table
from sudare.report.pictures import Gallery, galleries, pair_galleries
from sudare.report.profiles import Profiles, profiles
from sudare.report.roc import RocChart, roc_charts
from sudare.report.sections import sections_of
from sudare.report.tables import (
    findings_table,
    gates_table,
    guarantees,
    releases_table,
    severity,
    threats_table,
)
from sudare.report.text import builds_text, catalogue, listed, say, spoken, worded
from sudare.report.tradeoff import key, tradeoff
from sudare.report.verdict import verdict
from sudare.report.worst_case import (
    exposure_findings,
    exposure_table,
    glossary,
    groups_table,
    planted_images,
)

_REST_S, _RESTS = 15.0, 10
_SCRIPTS = ("tables.js", "languages.js")
_SOURCE = re.compile(r'<img src="(data:[^"]*)"')
_ROW = re.compile(r'<tr><th scope="row".*?</tr>', re.DOTALL)
_CELL = re.compile(r"<(t[hd])\b.*?</\1>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class ReportPaths:
    """What was written.

    Attributes:
        internal: ``report.html``, with private images; stays in the house.
        public: ``report-public.html``, without.
        verdict: The verdict's sentences, as on the page.
    """

    internal: Path
    public: Path
    verdict: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Charts:
    tradeoff: Markup | None
    key: list[tuple[int, Markup, str]]
    roc: list[RocChart]
    profiles: Profiles | None


@dataclass(frozen=True, kw_only=True)
class _Text:
    language: str
    title: str
    body: Markup


def write_report(run_folder: Path, *, languages: Sequence[str] = ("en",)) -> ReportPaths:
    """Write both pages of a run, finished or not; each is one file that works offline.

    Args:
        run_folder: Holds ``run.json`` and, as far as they exist yet, ``findings.json``,
            ``config.toml`` and the pictures of exposed images.
        languages: What the pages are written in. They open in the first; a button changes to the
            second, if any. Pages that open in another language than English get names of their
            own, such as ``report-ja.html``.

    Returns:
        Where the pages are, and the verdict in the first language.

    Raises:
        AuditError: The folder holds no run, or a file does not fit its schema.
    """
    run = load_run(run_folder)
    public = public_copy(run)
    texts = []
    for language in languages:
        # Altair would check each part of a chart as it is made; the tests of the charts do.
        with spoken(language), debug_mode(arg=False):
            texts.append(_in_language(run, public, language, languages))
    ending = "" if languages[0] == "en" else f"-{languages[0]}"
    paths = {
        Edition.INTERNAL: run_folder / f"report{ending}.html",
        Edition.PUBLIC: run_folder / f"report-public{ending}.html",
    }
    for edition, path in paths.items():
        page = _page([text[edition] for text in texts], edition)
        atomic_write(path, page, public=edition is Edition.PUBLIC)
    with spoken(languages[0]):
        sentences = verdict(run).sentences
    return ReportPaths(
        internal=paths[Edition.INTERNAL], public=paths[Edition.PUBLIC], verdict=sentences
    )


def as_it_goes() -> Callable[[Path], None]:
    """Writes the pages of a run that goes on: at once, then once in a while.

    Drawing takes seconds, more of them the more releases there are. A run whose stages take as
    long would do little else, so nothing is drawn within a quarter of a minute of the last time,
    nor within ten times what that took; whoever ends the run draws once more.
    """
    again = -math.inf

    def write(run_folder: Path) -> None:
        nonlocal again
        begun = time.monotonic()
        if begun >= again:
            write_report(run_folder)
            ended = time.monotonic()
            again = ended + max(_REST_S, _RESTS * (ended - begun))

    return write


def _in_language(
    run: Run, public: Run, language: str, languages: Sequence[str]
) -> dict[Edition, _Text]:
    """Both editions in the language that is spoken."""
    # Drawn once, from the copy without private counts: charts say the same on both pages, but for
    # groups that only the house may name.
    charts = _Charts(
        tradeoff=tradeoff(public),
        key=key(public),
        roc=roc_charts(public),
        profiles=profiles(public),
    )
    inside = replace(charts, profiles=profiles(run))
    others = [(other, catalogue(other)["language"]) for other in languages if other != language]
    return {
        edition: _Text(
            language=language,
            title=worded("page_title", of.summary.mode, title=of.summary.title),
            body=_body(of, edition, drawn, shown, others),
        )
        for edition, of, drawn, shown in (
            (Edition.INTERNAL, run, inside, galleries(run)),
            (Edition.PUBLIC, public, charts, []),
        )
    }


def _body(
    run: Run,
    edition: Edition,
    charts: _Charts,
    shown: list[Gallery],
    others: list[tuple[str, str]],
) -> Markup:
    template = _environment().get_template("text.html.j2")
    return Markup(
        template.render(
            run=run,
            summary=run.summary,
            mode=run.summary.mode,
            builds=builds_text(run.summary),
            others=others,
            sections=_sections(run, charts),
            more=sections_of(run),
            **_beyond(run, edition),
            internal=edition is Edition.INTERNAL,
            version=version("sudare"),
            verdict=verdict(run),
            decisions=None if run.summary.null_control else decisions_table(run),
            first=first_sentences(run),
            charts=charts,
            galleries=[gallery for gallery in shown if gallery.pictures],
            unexposed=_unexposed(shown),
            guarantees=guarantees(run),
            pairs=pair_galleries(run),
            banner=_progress(run),
            releases=releases_table(run),
            gates=gates_table(run),
            findings=findings_table(run, edition),
            threats=threats_table(run),
            data=data_table(run, edition),
            run_facts=run_table(run, edition),
            limits=limits(run),
        )
    )


def _page(texts: Sequence[_Text], edition: Edition) -> str:
    """One file of the first text, with the others in waiting; pictures and rows are there once."""
    environment = _environment()
    first, *rest = texts
    script = Markup("".join(environment.get_template(name).render() for name in _SCRIPTS))
    return environment.get_template("report.html.j2").render(
        texts=[first, *(replace(text, body=_beside(first.body, text.body)) for text in rest)],
        internal=edition is Edition.INTERNAL,
        style=Markup(environment.get_template("style.css").render(dark=dark_rules())),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _beside(first: Markup, other: Markup) -> Markup:
    """The other text without what the first one has: pictures, and cells of the same rows."""
    pictures = {found: at for at, found in reversed(list(enumerate(_SOURCE.findall(first))))}

    def picture(found: re.Match[str]) -> str:
        at = pictures.get(found[1])
        return found[0] if at is None else f'<img data-same="{at}"'

    shared = _SOURCE.sub(picture, other)
    rows, mine = (list(_ROW.finditer(text)) for text in (first, shared))
    if len(rows) == len(mine):
        pairs = enumerate(zip(rows, mine, strict=True))
        short = iter([_short(at, one[0], two[0]) for at, (one, two) in pairs])
        shared = _ROW.sub(lambda _: next(short), shared)
    return Markup(shared)


def _short(at: int, first: str, other: str) -> str:
    """A row as the number of the first text's row and the cells that read otherwise."""
    one, two = (
        [found[0] for found in _CELL.finditer(row.removeprefix("<tr>").removesuffix("</tr>"))]
        for row in (first, other)
    )
    if len(one) != len(two):
        return other
    cells = [
        f'{cell[:3]} data-at="{column}"{cell[3:]}'
        for column, (known, cell) in enumerate(zip(one, two, strict=True))
        if known != cell
    ]
    return f'<tr data-same="{at}">{"".join(cells)}</tr>'


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sudare.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"say": say, "worded": worded}
    return environment


def _beyond(run: Run, edition: Edition) -> dict[str, object]:
    """What the sections on other figures than averages show."""
    mine = [finding for finding in run.findings if not finding.id.startswith("canaries.")]
    return {
        "beyond": exposure_table(run),
        "beyond_glossary": glossary(exposure_findings(run)),
        "canaries": planted_images(run),
        "planted": findings_table(run, edition, canaries=True),
        "orderings": orderings_table(run),
        "orderings_count": orderings_summary(run),
        "violated": orderings_table(run, violated=True),
        "groups": groups_table(run),
        "glossary": glossary(sorted(mine, key=severity)),
    }


def _sections(run: Run, charts: _Charts) -> list[str]:
    """Anchors of the sections this run has something to say in, in reading order."""
    comparing = run.summary.mode is Mode.COMPARISON
    shown = {
        "tradeoff": comparing,
        "releases": True,
        "roc": True,
        "beyond": exposure_table(run) is not None,
        "canaries": planted_images(run) is not None,
        "orderings": orderings_table(run) is not None,
        "classes": charts.profiles is not None,
        "exposed": comparing,
        "pairs": bool(pair_galleries(run)),
        "findings": True,
        "threats": True,
        "run": True,
    }
    return [name for name, wanted in shown.items() if wanted]


def _unexposed(shown: list[Gallery]) -> str:
    """Where no image is shown because the attack finds nothing, in a sentence; empty if nowhere."""
    labels = [gallery.release for gallery in shown if not gallery.pictures]
    return say("exposed_none", labels=listed(labels)) if labels else ""


def _progress(run: Run) -> list[str]:
    """What is still running, in sentences; empty when the run is complete."""
    if run.summary.complete:
        return []
    missing = [run.label(name) for name in run.releases if run.leakage(name) is None]
    total = len(run.releases)
    lines = [say("banner_running", done=total - len(missing), total=total)]
    if missing:
        lines.append(say("banner_running_more", missing=listed(missing)))
    under_way = [stage for stage in run.summary.stages if stage.done < stage.total]
    if under_way:
        stages = [
            say("stage", label=stage.label, done=stage.done, total=stage.total)
            for stage in under_way
        ]
        lines.append(say("banner_stages", stages=listed(stages)))
    return lines
