"""From a run folder to its two pages: ``report.html`` (internal) and ``report-public.html``."""

from __future__ import annotations

import base64
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from altair.utils.schemapi import debug_mode
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sudare.core.errors import SudareError
from sudare.core.files import atomic_write
from sudare.core.wording import catalogue, listed, reworded, say, spoken, together
from sudare.report.drawing import dark_rules
from sudare.report.editions import public_copy
from sudare.report.load import Run, load_run
from sudare.report.sections import sections_of
from sudare.report.text import builds_text, worded
from sudare.report.verdict import verdict
from sudare.report.words import Words

_REST_S, _RESTS = 15.0, 10
_SCRIPTS = ("tables.js", "languages.js")


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
class _Banner:
    """What is said before anything else: in bold, and more."""

    first: str
    more: str
    private: bool = False


def write_report(run_folder: Path, *, languages: Sequence[str] = ("en",)) -> ReportPaths:
    """Write both pages of a run, finished or not; each is one file that works offline.

    Args:
        run_folder: Holds ``run.json`` and, as far as they exist yet, ``findings.json``,
            ``config.toml`` and the pictures of exposed images.
        languages: What the pages are written in, one or two. They open in the first; a button
            changes to the second. Pages that open in another language than English get names of
            their own, such as ``report-ja.html``.

    Returns:
        Where the pages are, and the verdict in the first language.

    Raises:
        AuditError: The folder holds no run, or a file does not fit its schema.
    """
    run = load_run(run_folder)
    ending = "" if languages[0] == "en" else f"-{languages[0]}"
    inside, shared = (run_folder / f"{name}{ending}.html" for name in ("report", "report-public"))
    # Altair would check each part of a chart as it is made; the tests of the charts do.
    with debug_mode(arg=False):
        atomic_write(inside, _page(run, languages, public=False), public=False)
        atomic_write(shared, _page(run, languages, public=True), public=True)
    with spoken(languages[0]):
        sentences = verdict(run).sentences
    return ReportPaths(internal=inside, public=shared, verdict=sentences)


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


def _page(run: Run, languages: Sequence[str], *, public: bool) -> str:
    """One file: the page in the first language, and what reads otherwise in the second."""
    first, second = (*languages, "")[:2]
    words = Words()
    if second:
        waiting = Words()
        _rendered(run, second, first, waiting, public=public)
        words = Words(waiting.said)
    title, body = _rendered(run, first, second, words, public=public)
    if second and len(words.said) != len(waiting.said):
        # Texts go by their place: one that only one language has would shift all after it.
        raise SudareError(
            f"the page has {len(words.said)} texts in {first} and {len(waiting.said)} in {second}",
            fix=f"Write it in one language: --lang {first}.",
        )
    environment = _environment()
    script = Markup("".join(environment.get_template(name).render() for name in _SCRIPTS))
    return environment.get_template("report.html.j2").render(
        language=first,
        other=second,
        title=title,
        body=body,
        words=words,
        internal=not public,
        style=Markup(environment.get_template("style.css").render(dark=dark_rules())),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _rendered(
    whole: Run, language: str, other: str, words: Words, *, public: bool
) -> tuple[Markup, Markup]:
    """Title and text in a language, with a button for another one; each text told to ``words``."""
    with spoken(language):
        copy = public_copy(whole)
        run = copy if public else replace(whole, drawn_from=copy)
        summary = run.summary
        dated = worded(
            "dated",
            summary.mode,
            date=summary.updated[:10],
            builds=builds_text(summary),
            version=version("sudare"),
        )
        body = (
            _environment()
            .get_template("text.html.j2")
            .render(
                words=words,
                other=other,
                other_name=catalogue(other)["language"] if other else "",
                internal=not run.public,
                edition=say("edition_public" if run.public else "edition_internal"),
                heading=summary.title,
                dated=dated,
                banners=_banners(run),
                sections=sections_of(run),
            )
        )
        title = worded("page_title", summary.mode, title=summary.title)
    return Markup("<title{}>{}</title>").format(words.slot(title), title), Markup(body)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sudare.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"say": say}
    return environment


def _banners(run: Run) -> list[_Banner]:
    """Whether the page is private, whether it is a control, and what is still running."""
    banners = []
    if not run.public:
        first = worded("banner_internal", run.summary.mode)
        banners.append(_Banner(first=first, more=say("banner_internal_more"), private=True))
    if run.summary.null_control:
        banners.append(_Banner(first=say("banner_null"), more=say("banner_null_more")))
    if not run.summary.complete:
        banners.append(_progress(run))
    return banners


def _progress(run: Run) -> _Banner:
    """What is still running, in sentences."""
    missing = [run.label(name) for name in run.releases if run.leakage(name) is None]
    total = len(run.releases)
    more = [say("banner_running_more", missing=listed(missing))] if missing else []
    under_way = [stage for stage in run.summary.stages if stage.done < stage.total]
    if under_way:
        stages = [
            say("stage", label=reworded(stage.label), done=stage.done, total=stage.total)
            for stage in under_way
        ]
        more.append(say("banner_stages", stages=listed(stages)))
    first = say("banner_running", done=total - len(missing), total=total)
    return _Banner(first=first, more=together(more))
