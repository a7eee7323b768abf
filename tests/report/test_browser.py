"""The pages in a real browser: nothing fetched, nothing overflows, nothing runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from sudare.core import Findings, Status
from sudare.report import ReportPaths, write_report
from tests.report.conftest import Plan, finding, write_run

PHONE, DESKTOP = 390, 1280


@contextmanager
def opened(browser: Browser, path: Path, *, width: int, scheme: str = "light") -> Iterator[Page]:
    """A page of its own context that fails on console errors and on any other request."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("data:image/png", path.resolve().as_uri()))
            else complaints.append(request.url)
        ),
    )
    page.goto(path.resolve().as_uri())
    # What is folded is looked at as well.
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    yield page
    context.close()
    assert not complaints


@pytest.mark.parametrize("edition", ["internal", "public"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_page_never_scrolls_sideways(
    browser: Browser, pages: ReportPaths, edition: str, width: int
):
    with opened(browser, getattr(pages, edition), width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone_decisions_stand_under_each_other(browser: Browser, pages: ReportPaths):
    """Nothing of the first screen is to the right of it: no scrolling to see what is learnt."""
    with opened(browser, pages.public, width=PHONE) as page:
        box = "document.querySelector('#table-decisions').parentElement"
        assert page.evaluate(f"{box}.scrollWidth <= {box}.clientWidth")
        caption = page.locator("#table-decisions caption").bounding_box()
        assert caption is not None
        assert caption["width"] > PHONE / 2


def test_table_of_releases_fits_a_desktop(browser: Browser, pages: ReportPaths):
    with opened(browser, pages.public, width=DESKTOP) as page:
        box = "document.querySelector('#table-releases').parentElement"
        assert page.evaluate(f"{box}.scrollWidth <= {box}.clientWidth")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_charts_are_drawn_and_fit(browser: Browser, pages: ReportPaths, width: int):
    with opened(browser, pages.public, width=width) as page:
        charts = page.locator("figure svg.chart:visible")
        assert charts.count() == 1 + 3 + 6
        for chart in charts.all():
            assert chart.locator("path").count() > 2
            box = chart.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


def test_every_exposed_image_is_shown_pixelated(browser: Browser, pages: ReportPaths):
    with opened(browser, pages.internal, width=DESKTOP) as page:
        images = page.locator("#exposed img")
        assert images.count() == 16
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth === 8)")
        assert images.first.evaluate("i => getComputedStyle(i).imageRendering") == "pixelated"
        assert images.first.get_attribute("alt") == "Exposed private image of class 0"


def test_internal_banner_is_the_first_thing_said(browser: Browser, pages: ReportPaths):
    with opened(browser, pages.internal, width=DESKTOP) as page:
        assert page.locator("#text > p.banner").first.inner_text().startswith("Internal: contains")


def test_headings_tables_and_charts_are_named_for_screen_readers(
    browser: Browser, pages: ReportPaths
):
    with opened(browser, pages.internal, width=DESKTOP) as page:
        assert page.locator("h1").count() == 1
        assert page.locator("table:not(:has(caption))").count() == 0
        assert page.locator("tbody tr:not(:has(th[scope=row]))").count() == 0
        assert page.locator("thead th:not([scope=col])").count() == 0
        assert page.locator("figure svg:not([role=img])").count() == 0
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
        named = page.evaluate(
            "[...document.querySelectorAll('[aria-labelledby]')]"
            ".every(e => document.getElementById(e.getAttribute('aria-labelledby')))"
        )
        assert named


def test_keyboard_reaches_the_verdict_first(browser: Browser, pages: ReportPaths):
    with opened(browser, pages.public, width=DESKTOP) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#verdict"


def test_findings_are_filtered_by_text_and_sorted_by_number(browser: Browser, pages: ReportPaths):
    with opened(browser, pages.public, width=DESKTOP) as page:
        rows = page.locator("#table-findings tbody tr:visible")
        everything = rows.count()
        page.locator("#findings").get_by_label("Show rows with").fill("dp-sgd rmia")
        assert 0 < rows.count() < everything
        assert all("DP-SGD" in text and "RMIA" in text for text in rows.all_inner_texts())
        page.locator("#table-releases").get_by_role("button", name="AUC").click()
        cells = page.locator("#table-releases tbody tr td:nth-child(2)")
        values = [float(text.split()[0]) for text in cells.all_inner_texts()]
        assert values == sorted(values, reverse=True)


def test_page_reads_without_script_and_in_the_dark(browser: Browser, pages: ReportPaths):
    context = browser.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(pages.public.resolve().as_uri())
    told = page.locator("#verdict").inner_text()
    assert "What would settle it" in told or "Because" in told
    assert "what was not measured has not passed" in told
    assert page.locator("#table-findings tbody tr").count() > 100
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_wcag_aa_contrast(browser: Browser, pages: ReportPaths, scheme: str):
    with opened(browser, pages.internal, width=DESKTOP, scheme=scheme) as page:
        assert page.evaluate(_CONTRAST) == []


def test_printed_page_shows_every_finding(browser: Browser, pages: ReportPaths):
    with opened(browser, pages.public, width=DESKTOP) as page:
        page.emulate_media(media="print")
        box = "document.querySelector('#table-findings').parentElement"
        assert page.evaluate(f"{box}.scrollHeight <= {box}.clientHeight + 1")
        page.set_viewport_size({"width": 700, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 700
        assert page.pdf()[:4] == b"%PDF"


def test_markup_from_a_run_stays_text(browser: Browser, tmp_path: Path):
    bad = "</title><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"
    plan = Plan(bad, f"{bad} label", "smoothing", 0.6, 0.9, bad, bad)
    folder = write_run(
        tmp_path / "run",
        plans=[plan],
        finished=0,
        title=bad,
        command=bad,
        machine={bad: bad},
        versions={bad: bad},
        limits=(bad,),
    )
    run_json = folder / "run.json"
    run_json.write_text(run_json.read_text().replace("Handwritten digits", f"{bad}"[:40]))
    (folder / "config.toml").write_text(f"# {bad}")
    found = (
        finding("membership.lira.auc", plan, 0.6, 0.01, method=bad, n_builds=4),
        finding("membership.lira.auc", plan, 0.6, 0.01, group=bad),
        finding("utility.accuracy", plan, 0.9, 0.01),
        finding("<script>alert(3)</script>", plan, 0.5),
        finding("membership.rmia.auc", plan, None, status=Status.FAILED, reason=bad),
    )
    (folder / "findings.json").write_text(Findings(findings=found).to_json())
    paths = write_report(folder)
    for path in (paths.internal, paths.public):
        with opened(browser, path, width=PHONE) as page:
            assert page.locator("script").count() == 1
            assert page.locator("img").count() == 0
            assert "{{ 7*7 }}" in page.locator("h1").inner_text()
            # The group is declared public by nobody.
            drawn = 2 if path == paths.internal else 1
            assert page.locator("figure svg:visible").count() == drawn
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


_CONTRAST = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest("script, style, title")) continue;
    const style = getComputedStyle(e);
    const ink = e.closest("svg") ? style.fill : style.color;
    const [a, b] = [light(parse(ink).slice(0, 3)), light(paper(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.add(e.tagName + " " + ink + " on " + paper(e));
  }
  return [...poor];
})()
"""


def test_the_page_is_short_until_it_is_unfolded_and_whole_when_printed(
    browser: Browser, pages: ReportPaths
):
    context = browser.new_context(viewport={"width": DESKTOP, "height": 900})
    page = context.new_page()
    page.goto(pages.internal.resolve().as_uri())
    tall = "document.documentElement.scrollHeight"
    folded = page.evaluate(tall)
    assert folded < 10 * 900
    assert not page.locator("#table-findings").is_visible()
    page.emulate_media(media="print")
    assert page.locator("#table-findings tbody tr").last.bounding_box()
    page.emulate_media(media="screen")
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate(tall) > 1.5 * folded
    context.close()


def test_on_a_phone_the_leakage_is_seen_without_scrolling_sideways(
    browser: Browser, pages: ReportPaths
):
    with opened(browser, pages.internal, width=PHONE) as page:
        head = page.locator("#table-releases thead th", has_text="AUC").bounding_box()
        assert head is not None
        cell = page.locator("#table-releases tbody tr td:nth-child(2) small").first.bounding_box()
        assert cell is not None
        assert cell["x"] + cell["width"] <= PHONE


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_japanese_page_stands_as_the_english_one_does(
    browser: Browser, run_folder: Path, width: int
):
    paths = write_report(run_folder, languages=("ja",))
    with opened(browser, paths.public, width=width) as page:
        assert page.evaluate("document.documentElement.lang") == "ja"
        assert page.locator("button.language").count() == 0
        assert page.locator("figure svg.chart:visible").count() == 1 + 3 + 6
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        rows = page.locator("#table-findings tbody tr:visible")
        everything = rows.count()
        page.locator("#findings").get_by_label("次を含む行を表示").fill("rmia")
        assert 0 < rows.count() < everything


@pytest.fixture
def run_copy(run_folder: Path, tmp_path: Path) -> Path:
    """The run that tests share, to write other pages into."""
    return Path(shutil.copytree(run_folder, tmp_path / "copy"))


def test_a_button_changes_the_language_and_back(browser: Browser, run_copy: Path):
    paths = write_report(run_copy, languages=("en", "ja"))
    with opened(browser, paths.internal, width=DESKTOP) as page:
        title, found = page.title(), page.locator("#table-findings tbody tr").count()
        english = page.locator("#text").inner_text()
        page.get_by_role("button", name="日本語").click()
        assert page.evaluate("document.documentElement.lang") == "ja"
        assert page.title() != title
        assert "判定" in page.locator("#verdict").inner_text()
        assert page.locator("figure svg.chart:visible").count() == 1 + 3 + 6
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth === 8)")
        assert page.locator("#exposed img").count() == 16
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
        switched = page.locator("main").inner_text()
        assert page.locator("#table-findings tbody tr").count() == found
        # The tables of the other language sort and filter as well.
        rows = page.locator("#table-findings tbody tr:visible")
        everything = rows.count()
        page.locator("#findings").get_by_label("次を含む行を表示").fill("rmia")
        filtered = rows.count()
        assert 0 < filtered < everything
        page.get_by_role("button", name="English").click()
        assert page.title() == title
        # What was asked for in one language is asked for in the other.
        assert rows.count() == filtered
        page.locator("#findings").get_by_label("Show rows with").fill("")
        assert page.locator("#text").inner_text() == english
        assert page.locator("#table-findings tbody tr:visible").count() == everything

    # Put together from what both languages share, it reads as the page that has only one.
    alone = write_report(run_copy, languages=("ja",))
    with opened(browser, alone.internal, width=DESKTOP) as page:
        assert page.locator("main").inner_text() == switched


def test_a_page_of_two_languages_holds_each_picture_row_and_reading_once(run_copy: Path):
    one = write_report(run_copy).internal.read_text()
    two = write_report(run_copy, languages=("en", "ja")).internal.read_text()
    for part in ('src="data:', '<th scope="row"', "<h2"):
        assert two.count(part) == one.count(part) > 10
    (waiting,) = re.findall(r"<ol>\n(.*?)</ol>", two, re.DOTALL)
    readings = re.findall(r"<li>(.*?)</li>", waiting, re.DOTALL)
    numbers = {int(number) for number in re.findall(r'data-t[-a-z]*="(\d+)"', two)}
    assert numbers == set(range(len(readings)))
    assert len(readings) < two.count(" data-t=")
