"""From a run folder to its two pages: ``report.html`` (internal) and ``report-public.html``."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sudare.core.files import atomic_write
from sudare.core.runs import Mode
from sudare.report.beyond import (
    exposure_findings,
    exposure_table,
    glossary,
    groups_table,
    planted_images,
)
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
from sudare.report.text import listed, say, spoken, worded
from sudare.report.tradeoff import key, tradeoff
from sudare.report.verdict import verdict

__all__ = ["ReportPaths", "as_it_goes", "write_report"]

_REST_S = 15.0


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


def write_report(run_folder: Path, *, language: str = "en") -> ReportPaths:
    """Write both pages of a run, finished or not; each is one file that works offline.

    Args:
        run_folder: Holds ``run.json`` and, as far as they exist yet, ``findings.json``,
            ``config.toml`` and the pictures of exposed images.
        language: What the pages are written in; others than English go to files of their own,
            such as ``report-ja.html``.

    Returns:
        Where the pages are, and the verdict.

    Raises:
        AuditError: The folder holds no run, or a file does not fit its schema.
    """
    with spoken(language):
        return _write(run_folder, language)


def _write(run_folder: Path, language: str) -> ReportPaths:
    run = load_run(run_folder)
    public = public_copy(run)
    # Drawn once, from the copy without private counts: charts say the same on both pages, but for
    # groups that only the house may name.
    charts = _Charts(
        tradeoff=tradeoff(public),
        key=key(public),
        roc=roc_charts(public),
        profiles=profiles(public),
    )
    ending = "" if language == "en" else f"-{language}"
    internal_path, public_path = (
        run_folder / f"{name}{ending}.html" for name in ("report", "report-public")
    )
    inside = replace(charts, profiles=profiles(run))
    atomic_write(internal_path, _page(run, Edition.INTERNAL, inside, galleries(run), language))
    atomic_write(public_path, _page(public, Edition.PUBLIC, charts, [], language), public=True)
    return ReportPaths(internal=internal_path, public=public_path, verdict=verdict(run).sentences)


def as_it_goes() -> Callable[[Path], None]:
    """Writes the pages of a run that goes on: at once, then once in a while.

    Drawing takes seconds. A run whose stages take as long would do little else, so nothing is
    drawn within a quarter of a minute of the last time; whoever ends the run draws once more.
    """
    rested = -_REST_S

    def write(run_folder: Path) -> None:
        nonlocal rested
        if time.monotonic() - rested >= _REST_S:
            write_report(run_folder)
            rested = time.monotonic()

    return write


def _page(run: Run, edition: Edition, charts: _Charts, shown: list[Gallery], language: str) -> str:
    environment = Environment(
        loader=PackageLoader("sudare.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"say": say, "worded": worded}
    style = Markup(environment.get_template("style.css").render(dark=dark_rules()))
    script = Markup(environment.get_template("tables.js").render())
    return environment.get_template("report.html.j2").render(
        run=run,
        summary=run.summary,
        mode=run.summary.mode,
        language=language,
        sections=_sections(run, charts),
        more=sections_of(run),
        **_beyond(run, edition),
        internal=edition is Edition.INTERNAL,
        version=version("sudare"),
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        verdict=verdict(run),
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
