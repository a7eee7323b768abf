from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sudare.core import Status
from sudare.core.runs import Stage
from sudare.report import ReportPaths, write_report
from sudare.report.editions import public_copy
from sudare.report.load import load_run
from tests.report.conftest import PLANS, POOL, SEED, UNITS, finding, write_run

PRIVATE_COUNTS = (POOL, POOL // 2, UNITS, UNITS // 2, 211, 463, 359, 139, 46, 17, 23)
_GEOMETRY = {"d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "viewbox"}


class Said(HTMLParser):
    """All a page says in text and attributes, and every picture in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.tags, self._inside = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = tag
        if dict(attrs).get("http-equiv") != "Content-Security-Policy":
            self.words += [value or "" for key, value in attrs if key not in _GEOMETRY]

    def handle_data(self, data):
        if self._inside not in {"style", "script"}:
            self.words.append(data)


def embedded_images(page: str) -> list[Image.Image]:
    """Every data: image of a page, wherever it stands, decoded."""
    found = re.findall(r"data:image/[\w+.-]+;base64,([A-Za-z0-9+/=\s]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(text))).convert("L") for text in found]


def shows(image: Image.Image, private: Image.Image) -> bool:
    """Whether an image is the private one, also enlarged, reduced, inverted or brightened."""
    private = private.convert("L")
    sizes = {image.size, private.size, (16, 16)}
    for size in sizes:
        for method in (Image.Resampling.NEAREST, Image.Resampling.BOX, Image.Resampling.BILINEAR):
            left = np.asarray(image.resize(size, method), dtype=float).ravel()
            right = np.asarray(private.resize(size, method), dtype=float).ravel()
            if left.std() and right.std() and abs(np.corrcoef(left, right)[0, 1]) > 0.95:
                return True
    return False


@pytest.fixture(scope="module")
def public(pages: ReportPaths) -> str:
    return pages.public.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def private_images(run_folder: Path) -> list[Image.Image]:
    pictures = []
    for path in sorted((run_folder / "internal").glob("*.png")):
        with Image.open(path) as opened:
            pictures.append(opened.copy())
    assert len(pictures) == 16
    return pictures


def test_public_page_embeds_no_private_pixel(public: str, private_images: list[Image.Image]):
    assert not [
        (image, private)
        for image in embedded_images(public)
        for private in private_images
        if shows(image, private)
    ]
    assert not {"image", "img", "picture", "object", "embed", "iframe"} & set(Said(public).tags)
    assert "data:" not in public.replace("img-src data:", "")


def test_public_page_names_no_picture_file(public: str, run_folder: Path):
    assert not [path.name for path in (run_folder / "internal").iterdir() if path.name in public]


def test_scan_finds_the_private_images_of_the_internal_page(
    pages: ReportPaths, private_images: list[Image.Image]
):
    images = embedded_images(pages.internal.read_text(encoding="utf-8"))
    assert len(images) == 16
    assert all(any(shows(image, private) for image in images) for private in private_images)


@pytest.mark.parametrize("size", [(8, 8), (31, 31), (64, 64)])
def test_scan_finds_a_private_image_at_another_scale(
    private_images: list[Image.Image], size: tuple[int, int]
):
    buffer = io.BytesIO()
    private_images[0].resize(size).save(buffer, format="PNG")
    page = f'<image href="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"/>'
    assert shows(embedded_images(page)[0], private_images[0])


@pytest.fixture(scope="module")
def japanese(run_folder: Path) -> str:
    return write_report(run_folder, languages=("ja",)).public.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["public", "japanese"])
@pytest.mark.parametrize("number", [SEED, *PRIVATE_COUNTS])
def test_public_page_says_no_private_number(request: pytest.FixtureRequest, page: str, number: int):
    public = request.getfixturevalue(page)
    forms = {str(number), f"{number:,}", f"{number:_}", f"{number:,}".replace(",", " ")}
    pattern = re.compile(r"(?<![\d.])(" + "|".join(map(re.escape, forms)) + r")(?!\d|\.\d)")
    said = [words for words in Said(public).words if pattern.search(words)]
    assert not said


@pytest.mark.parametrize("number", [SEED, POOL, UNITS])
def test_internal_page_says_the_same_numbers(pages: ReportPaths, number: int):
    page = pages.internal.read_text(encoding="utf-8")
    assert str(number) in page or f"{number:,}" in page


def test_public_findings_table_has_no_units_column(pages: ReportPaths, public: str):
    assert '<th scope="col">Units</th>' in pages.internal.read_text(encoding="utf-8")
    assert '<th scope="col">Units</th>' not in public


def test_public_copy_never_holds_the_private_parts(run_folder: Path):
    copy = public_copy(load_run(run_folder))
    data = copy.summary.data
    assert (copy.summary.seed, copy.summary.command, copy.config) == (0, "", "")
    assert (data.pool, data.pool_units, data.merged, data.removed) == (0, 0, 0, {})
    assert copy.summary.exposed == ()
    assert {finding.n_units for finding in copy.findings} == {0}


def test_public_reason_of_an_unresolvable_rate_is_the_rule_and_not_the_count(run_folder: Path):
    copy = public_copy(load_run(run_folder))
    reasons = {finding.reason for finding in copy.findings if finding.status is Status.UNRESOLVABLE}
    assert reasons == {
        "needs 100 distinct non-member units and 1,000 scored pairs",
        "needs 1,000 distinct non-member units and 10,000 scored pairs",
    }


def test_counts_in_free_text_are_withheld_and_rates_kept(tmp_path: Path):
    limits = (
        "Pools of 1 437 images, 718 per half, n=1437, 16 builds: 0.1 % and 95 % are not resolved.",
    )
    stages = (Stage(label="Images of 1437", done=700, total=1437),)
    run = load_run(write_run(tmp_path / "run", finished=1, limits=limits, stages=stages))
    copy = public_copy(run)
    assert copy.summary.limits == (
        "Pools of [withheld] images, [withheld] per half, n=[withheld], 16 builds: 0.1 % and "
        "95 % are not resolved.",
    )
    assert copy.summary.stages == (Stage(label="Images of [withheld]", done=49, total=100),)


def test_labels_lose_only_numbers_that_equal_a_private_one(tmp_path: Path):
    run = load_run(write_run(tmp_path / "run", finished=1, title="Ward 12, 1437 scans, 2026"))
    assert public_copy(run).summary.title == "Ward 12, [withheld] scans, 2026"


def test_public_page_of_an_unfinished_run_says_no_count_either(tmp_path: Path):
    page = write_report(write_run(tmp_path / "run", finished=1)).public.read_text(encoding="utf-8")
    said = " ".join(Said(page).words)
    assert str(SEED) not in said
    assert str(POOL) not in said


def test_counts_of_builds_are_no_counts_of_images(tmp_path: Path):
    """Sixteen builds stay readable, even where sixteen near-duplicates were taken out."""
    run = load_run(write_run(tmp_path / "run", finished=1))
    data = run.summary.data.model_copy(update={"removed": {"public": 16}})
    limits = ("16 builds, 8 builds a half, 16 shadow builds, 16 images.",)
    summary = run.summary.model_copy(update={"data": data, "limits": limits})
    copy = public_copy(replace(run, summary=summary))
    assert copy.summary.limits == (
        "16 builds, 8 builds a half, 16 shadow builds, [withheld] images.",
    )


@pytest.mark.parametrize(("units", "shown"), [(9, False), (10, True)])
def test_figures_about_few_units_are_withheld(tmp_path: Path, units: int, shown: bool):
    run = load_run(write_run(tmp_path / "run", finished=0))
    about = {"group": "7", "n_units": units}
    leak = finding("membership.lira.auc", PLANS[0], 0.91, 0.03, **about)
    recall = finding("utility.recall", PLANS[0], 0.81, 0.03, group="7")
    everyone = finding("utility.accuracy", PLANS[0], 0.88, 0.01)
    copy = public_copy(replace(run, findings=(leak, recall, everyone)))
    assert [item.value is not None for item in copy.findings] == [shown, shown, True]
    reasons = {item.reason for item in copy.findings if item.value is None}
    assert reasons == (set() if shown else {"withheld: fewer than 10 units"})


def test_a_figure_or_group_that_nobody_declared_public_does_not_appear(tmp_path: Path):
    """A valuation and a payout of a named hospital went through untouched."""
    run = load_run(write_run(tmp_path / "run", finished=0))
    private = (
        finding("valuation.hospital-berlin.records", PLANS[0], 1234.0, 0.0),
        finding("valuation.payout", PLANS[0], 731.5, 0.0, group="Hospital Berlin, Dr. Maier"),
        finding("membership.lira.auc", PLANS[0], 0.6, 0.01, group="group Berlin", n_units=50),
        finding("membership.copies.tpr", PLANS[0], 0.034, 0.001),
    )
    public = finding("membership.lira.auc", PLANS[0], 0.6, 0.01)
    of_class = finding("membership.lira.auc", PLANS[0], 0.6, 0.01, group="7", n_units=50)
    copy = public_copy(replace(run, findings=(*private, public, of_class)))
    shown = [(item.id, item.group) for item in copy.findings]
    assert shown == [("membership.lira.auc", ""), ("membership.lira.auc", "7")]


def test_a_group_that_is_declared_public_appears(tmp_path: Path):
    run = load_run(write_run(tmp_path / "run", finished=0))
    data = run.summary.data.model_copy(update={"public_groups": ("group Berlin",)})
    found = finding("membership.lira.auc", PLANS[0], 0.6, 0.01, group="group Berlin", n_units=50)
    summary = run.summary.model_copy(update={"data": data})
    copy = public_copy(replace(run, summary=summary, findings=(found,)))
    assert [item.group for item in copy.findings] == ["group Berlin"]


@pytest.mark.parametrize("pool", [1437, 1438, 2000])
def test_public_rates_do_not_give_the_size_of_the_pool_away(tmp_path: Path, pool: int):
    """Exact rates are multiples of 1 / (builds / 2 x pool): a search for it found the pool."""
    run = load_run(write_run(tmp_path / "run", finished=0))
    scored = 8 * pool
    exact = [
        finding(f"membership.lira.tpr@{a:g}", PLANS[0], round(a * 3 * scored) / scored, 0.004)
        for a in (0.1, 0.01, 0.02, 0.03)
    ]
    found = [item.value for item in public_copy(replace(run, findings=tuple(exact))).findings]

    def fits(size: int) -> bool:
        return all(abs(v * 8 * size - round(v * 8 * size)) < 1e-6 for v in found)

    assert all(round(value, 3) == value for value in found)
    # Every size that is a multiple of 125 explains them as well as the true one.
    assert fits(1000)
    assert fits(125)


def test_public_curves_are_rounded(run_folder: Path):
    run = load_run(run_folder)
    for curve in public_copy(run).summary.roc:
        assert all(float(f"{value:.2g}") == value for value in (*curve.fpr, *curve.tpr))
