"""The two editions: the public page is made from a copy that never held the private parts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection

from sudare.core import Finding, Status
from sudare.core.figures import figure_of, rate_of
from sudare.core.runs import GateResult, ReleaseSummary, RocCurve, RunSummary, Stage
from sudare.core.wording import Said, refilled, say
from sudare.report.load import Run

SMALLEST_GROUP = 10
"""Figures about a group of fewer units are withheld from the public page."""

# A whole number, with thousands separators, that is not part of a decimal.
_NUMBER = re.compile(r"(?<![\d.])\d+(?:[,_ \u00a0\u202f]\d{3})*(?!\d)(?!\.\d)")
_OF_BUILDS = re.compile(r" (?:shadow )?builds?\b")
_EVERYDAY = frozenset(range(10)) | {10**power for power in range(1, 7)} | {50, 90, 95, 99, 256}


def public_copy(run: Run) -> Run:
    """The run without private pixels, counts, seed, command and configuration.

    Figures are an allow-list: one that is not declared public, or that is about a group whose name
    is not, does not appear. Numbers are rounded to the width of their interval: exact ones are
    multiples of one over the number of scored pairs, and a search for the denominator finds the
    size of the collection.

    Free text that an audit wrote (reasons, methods, limits) may quote a private count, so in
    it every whole number goes that is not plainly harmless. In names and labels only numbers
    go that equal a private one.
    """
    private = _private_numbers(run)
    summary = run.summary
    builds = {summary.builds, summary.builds // 2}
    harmless = (_EVERYDAY | builds) - private

    def strict(text: str) -> str:
        # How many builds there were is on the page anyway, even where a count happens to equal it.
        return _cleaned(text, lambda number: number not in harmless, builds=builds)

    def lenient(text: str) -> str:
        return _cleaned(text, lambda number: number >= 10 and number in private)

    data = summary.data.model_copy(
        update={
            **{name: lenient(getattr(summary.data, name)) for name in ("name", "licence")},
            "source": lenient(summary.data.source),
            "class_names": tuple(lenient(name) for name in summary.data.class_names),
            **dict.fromkeys(("pool", "pool_units", "public", "population", "test", "merged"), 0),
            "removed": {},
            "notes": tuple(strict(note) for note in summary.data.notes),
        }
    )
    public = summary.model_copy(
        update={
            "title": lenient(summary.title),
            "command": "",
            "seed": 0,
            "data": data,
            "exposed": (),
            "pairs": (),
            "choices": (),
            "pictures": tuple(picture for picture in summary.pictures if picture.public),
            "releases": tuple(_release(release, lenient) for release in summary.releases),
            "gates": tuple(_gate(gate, strict) for gate in summary.gates),
            "roc": tuple(_curve(curve) for curve in summary.roc),
            "stages": tuple(_stage(stage, strict) for stage in summary.stages),
            "limits": tuple(strict(limit) for limit in summary.limits),
            "warnings": tuple(strict(text) for text in summary.warnings),
        }
    )
    small = _small_groups(run)
    public_groups = {"", *summary.data.class_names, *summary.data.public_groups}
    findings = tuple(
        _finding(finding, strict, withheld=finding.group in small)
        for finding in run.findings
        if _is_public(finding, public_groups)
    )
    return Run(
        folder=run.folder,
        summary=public,
        findings=findings,
        config="",
        public=True,
    )


def _is_public(finding: Finding, groups: Collection[str]) -> bool:
    figure = figure_of(finding.id)
    return figure is not None and figure.edition == "public" and finding.group in groups


def _rounded(finding: Finding) -> dict[str, float]:
    """Value and ends at a step a tenth to a whole of the interval's half width."""
    ends = {
        name: number
        for name in ("value", "low", "high")
        if (number := getattr(finding, name)) is not None
    }
    half = (ends["high"] - ends["low"]) / 2 if len(ends) == 3 else 0.0
    # Without a width two digits say all that a reader can use.
    step = half if half > 0 else abs(ends.get("value", 0.0)) / 10
    if step == 0:
        return ends
    digits = -math.floor(math.log10(step))
    return {name: round(number, digits) for name, number in ends.items()}


def _curve(curve: RocCurve) -> RocCurve:
    """A curve at two digits: its exact points are whole numbers of images."""
    points = dict.fromkeys(
        (float(f"{fpr:.2g}"), float(f"{tpr:.2g}"))
        for fpr, tpr in zip(curve.fpr, curve.tpr, strict=True)
    )
    return curve.model_copy(
        update={"fpr": tuple(p[0] for p in points), "tpr": tuple(p[1] for p in points)}
    )


def _private_numbers(run: Run) -> frozenset[int]:
    summary: RunSummary = run.summary
    data = summary.data
    counts = {data.pool, data.pool_units, data.public, data.population, data.test, data.merged}
    counts |= {count // 2 for count in (data.pool, data.pool_units)}
    counts |= set(data.removed.values()) | {finding.n_units for finding in run.findings}
    return frozenset(counts | {summary.seed})


def _small_groups(run: Run) -> frozenset[str]:
    """Classes and groups of so few units that a figure about them is one about people."""
    return frozenset(
        finding.group
        for finding in run.findings
        if finding.group and 0 < finding.n_units < SMALLEST_GROUP
    )


def _cleaned(text: str, is_private: Callable[[int], bool], *, builds: Collection[int] = ()) -> str:
    """A text without private numbers; of a row of the catalogues its fields are looked at."""
    if not isinstance(text, Said):
        return _replace(text, is_private, builds=builds)
    fields = {}
    for name, value in text.fields.items():
        is_builds = name == "builds" and isinstance(value, int) and value in builds
        said = value if isinstance(value, Said) else str(value)
        fields[name] = value if is_builds else _cleaned(said, is_private, builds=builds)
    return refilled(text, fields)


def _replace(text: str, is_private: Callable[[int], bool], *, builds: Collection[int] = ()) -> str:
    def mask(match: re.Match[str]) -> str:
        number = int(re.sub(r"\D", "", match.group()))
        if number in builds and _OF_BUILDS.match(text, match.end()):
            return match.group()
        return say("withheld") if is_private(number) else match.group()

    return _NUMBER.sub(mask, text)


def _release(release: ReleaseSummary, clean: Callable[[str], str]) -> ReleaseSummary:
    return release.model_copy(
        update={
            name: clean(getattr(release, name)) for name in ("label", "what_leaves", "guarantee")
        }
    )


def _gate(gate: GateResult, clean: Callable[[str], str]) -> GateResult:
    return gate.model_copy(update={"explanation": clean(gate.explanation)})


def _stage(stage: Stage, clean: Callable[[str], str]) -> Stage:
    # A total may be a number of images; a share of a hundred says as much to the reader.
    done = round(100 * stage.done / stage.total) if stage.total else 0
    return Stage(label=clean(stage.label), done=done, total=100)


def _finding(finding: Finding, clean: Callable[[str], str], *, withheld: bool) -> Finding:
    reason, hidden = clean(finding.reason), {}
    if withheld:
        reason = say("public_small", least=SMALLEST_GROUP)
        hidden = {"value": None, "low": None, "high": None, "status": Status.UNRESOLVABLE}
    elif finding.status is Status.UNRESOLVABLE:
        reason = _needs(finding.id)
    elif finding.status is Status.FAILED:
        reason = say("public_failed")
    return finding.model_copy(
        update={
            "n_units": 0,
            "part_units": 0,
            "reason": reason,
            "method": clean(finding.method),
            **_rounded(finding),
            **hidden,
        }
    )


def _needs(name: str) -> str:
    stem, alpha = name.partition("@")[0].rpartition(".")[2], rate_of(name)
    if stem not in {"tpr", "precision"} or alpha is None or not 0 < alpha < 1:
        return say("public_unresolvable")
    return say(
        "public_unresolvable_tpr", units=f"{round(1 / alpha):,}", pairs=f"{round(10 / alpha):,}"
    )
