"""The pages in a real browser: nothing hidden, nothing on top of something else, readable in light and in dark."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.reports.ablated import ablation
from tests.support.reports.browser import Browser, start
from tests.support.reports.explored import exploration
from tests.support.reports.recorded import large_record, record
from vitreous.reports import summarize, write
from vitreous.reports.ablation import ablation as ablations
from vitreous.reports.ablation import page as ablation_page
from vitreous.reports.compare import compare
from vitreous.reports.compare import page as comparison_page
from vitreous.reports.exploration import web as exploration_page

pytestmark = pytest.mark.slow

WIDTHS = (390, 800, 1400)
PAGES = ("report", "comparison", "exploration", "ablation")
PAPER = 690
"""CSS pixels between the margins of A4."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from start(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run's own page, a deeper and a tiny model's, a comparison of three runs, an exploration and an ablation."""
    folder = tmp_path_factory.mktemp("pages")
    plain, small = summarize(large_record(blocks=2)), summarize(record(), clock_mhz=250)
    large = dataclasses.replace(plain, exploration=exploration(), ablation=ablation())
    runs = [("build/large", large), ("build/small", small), ("build/again", large)]
    links = {(0, number): f"points/{number}.toml" for number in range(4)}
    explored = exploration_page.write(exploration(), folder, links, "optuna-dashboard sqlite:///study.db")
    return {
        "report": write(large, folder)[0],
        "deep": write(summarize(large_record(blocks=12)), folder / "deep")[0],
        "tiny": write(small, folder / "tiny")[0],
        "comparison": comparison_page.write(compare.compare(runs), folder)[0],
        "exploration": explored,
        "ablation": ablations.write(ablation(), folder, ablation_page.page(ablation()))[-1],
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_everything_is_seen_at_every_width(
    browser: Browser, pages: dict[str, Path], name: str, width: int, tmp_path: Path
) -> None:
    browser.open(pages[name], width=width)
    browser.open_details()
    assert browser.inspect("overflow") == []
    assert browser.inspect("clipped") == []
    assert browser.inspect("overlaps") == []
    assert len(browser.screenshot(tmp_path / f"{name}-{width}.png")) > 20_000
    assert browser.errors() == []
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize(
    ("kind", "css"),
    [
        ("overflow", "h1 { margin-right: -400px; width: 120vw; }"),
        ("clipped", "h1 { overflow: hidden; width: 40px; white-space: nowrap; }"),
        ("clipped", ".tile .value { margin-left: 160px; }"),
        ("overlaps", "h2 { margin-bottom: -30px; }"),
        ("overlaps", "svg .tick { font-size: 60px; }"),
        ("contrast", ".note { color: #ccc; }"),
        ("contrast", "svg .end { fill: #eee; }"),
    ],
)
def test_what_is_wrong_is_found(browser: Browser, pages: dict[str, Path], kind: str, css: str) -> None:
    if browser.driver.current_url != pages["report"].as_uri():
        browser.open(pages["report"], width=800)
    style = browser.run(
        "const s = document.createElement('style'); s.textContent = arguments[0]; document.head.append(s); return s;",
        css,
    )
    assert browser.inspect(kind) != []
    browser.run("arguments[0].remove();", style)


@pytest.mark.parametrize("name", PAGES)
def test_text_is_readable_in_light_and_dark(
    browser: Browser, pages: dict[str, Path], name: str, tmp_path: Path
) -> None:
    shots, papers = {}, {}
    for scheme in ("light", "dark"):
        browser.open(pages[name], width=1400, scheme=scheme)
        browser.open_details()
        assert browser.inspect("contrast") == []
        papers[scheme] = browser.run("return getComputedStyle(document.body).backgroundColor")
        shots[scheme] = browser.screenshot(tmp_path / f"{name}-{scheme}.png")
    assert papers["light"] != papers["dark"]
    assert shots["light"] != shots["dark"]


def shown_cycles(browser: Browser) -> tuple[int, int]:
    text = browser.run("return document.getElementById('zoom-range').textContent")
    first, last = re.findall(r"\d+", re.sub(r"[^\d a-z]", "", text))
    return int(first), int(last)


def test_the_schedule_zooms_moves_and_tells(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], width=1400)
    find = browser.driver.find_element
    whole = shown_cycles(browser)
    assert whole[0] == 0
    browser.run(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'});", find("id", "schedule")
    )
    find("id", "zoom-in").click()
    closer = shown_cycles(browser)
    assert closer[1] - closer[0] == pytest.approx((whole[1] - whole[0]) / 2, abs=2)
    assert browser.inspect("clipped") == []
    find("id", "zoom-out").click()
    assert shown_cycles(browser) == whole
    find("id", "zoom-in").click()
    find("id", "zoom-in").click()
    find("id", "zoom-all").click()
    assert shown_cycles(browser) == whole

    from selenium.webdriver import ActionChains

    schedule = find("id", "schedule")
    find("id", "zoom-in").click()
    before = shown_cycles(browser)
    ActionChains(browser.driver).drag_and_drop_by_offset(schedule, 120, 0).perform()
    moved = shown_cycles(browser)
    assert moved[0] < before[0]
    assert moved[1] - moved[0] == pytest.approx(before[1] - before[0], abs=2)
    # The matrix lane is the second one of four, under the layers' band.
    ActionChains(browser.driver).move_to_element_with_offset(schedule, 40, -10).perform()
    tip = find("id", "tip")
    assert tip.is_displayed()
    assert "instruction" in tip.text
    assert "retired" in tip.text
    assert browser.errors() == []


def test_links_lead_to_their_sections(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], width=1400)
    browser.run("document.documentElement.style.scrollBehavior = 'auto'")
    for link in browser.driver.find_elements("css selector", "nav a"):
        anchor = str(link.get_attribute("href")).partition("#")[2]
        browser.run("arguments[0].click();", link)
        top, bottom = browser.run(
            "const box = document.getElementById(arguments[0]).getBoundingClientRect();"
            "return [box.top, innerHeight - box.bottom];",
            anchor,
        )
        assert top >= -1, anchor
        assert bottom >= 0, anchor


@pytest.mark.parametrize("name", PAGES)
def test_paper_holds_everything(browser: Browser, pages: dict[str, Path], name: str, tmp_path: Path) -> None:
    browser.open(pages[name], width=PAPER, media="print", anchor="everything")
    assert browser.inspect("overflow") == []
    assert browser.inspect("clipped") == []
    closed = "details:not([open]) > :not(summary)"
    hidden = browser.run(
        "return [...document.querySelectorAll(arguments[0])].filter((e) => e.offsetHeight === 0).length",
        closed,
    )
    assert hidden == 0, "what is folded on a screen is open on paper"
    count = browser.print(tmp_path / f"{name}.pdf")
    least, most = {"report": (6, 27), "comparison": (1, 8), "exploration": (1, 6), "ablation": (1, 4)}[name]
    assert least <= count <= most
    assert (tmp_path / f"{name}.pdf").stat().st_size > 20_000
    assert browser.errors() == []


@pytest.mark.parametrize("name", ["report", "deep", "tiny"])
def test_a_run_prints_as_two_sheets(
    browser: Browser, pages: dict[str, Path], name: str, tmp_path: Path
) -> None:
    browser.open(pages[name], width=PAPER, media="print")
    for kind in ("overflow", "clipped", "overlaps", "contrast"):
        assert browser.inspect(kind) == []
    seen = browser.run("return document.querySelector('main').innerText")
    for words in (
        "Limit.",
        "What one change would bring",
        "Layers",
        "Energy",
        "Area",
        "What was run",
        "utilization",
    ):
        assert words in seen
    assert "Schedule of one image" not in seen
    assert browser.print(tmp_path / f"{name}.pdf") == 2
