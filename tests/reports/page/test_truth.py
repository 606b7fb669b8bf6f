"""What every page must keep: headings in order, no share above all, and nothing measured elsewhere as this run's."""

import dataclasses
import itertools
import re

from tests.reports.page.test_page import Page
from tests.support.reports.ablated import ablation
from tests.support.reports.explored import exploration
from tests.support.reports.recorded import large_record, record, record_data
from vitreous.reports import summarize
from vitreous.reports.ablation import page as ablation_page
from vitreous.reports.compare import compare
from vitreous.reports.compare import page as comparison_page
from vitreous.reports.exploration import web
from vitreous.reports.page.page import render
from vitreous.reports.record.record import from_dict


def all_pages() -> list[Page]:
    """One of each kind, with everything that it can have."""
    full = dataclasses.replace(
        summarize(large_record(blocks=2)), exploration=exploration(), ablation=ablation()
    )
    compared = compare.compare([("a", full), ("b", summarize(record()))])
    texts = (
        render(full),
        comparison_page.render(compared),
        web.render(exploration()),
        ablation_page.page(ablation()),
    )
    return [Page(text) for text in texts]


def test_headings_are_in_order_and_heads_of_columns_say_so() -> None:
    for page in all_pages():
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        assert all(attributes.get("scope") == "col" for tag, attributes in page.elements if tag == "th")
        assert all(a.get("aria-label") for _, a in page.elements if a.get("role") == "img")
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))


def test_no_share_is_above_100_per_cent() -> None:
    slow = record_data()
    slow["simulation"]["memory_throughput"] = 1  # every layer lies above the slope of DRAM
    for made in (large_record(blocks=2), record(), from_dict(slow)):
        text = render(summarize(made))
        shares = [float(found) for found in re.findall(r"(?<![-+−\d.])([\d.]+)\u202f%", text)]
        assert len(shares) > 100
        assert max(shares) == 100


def test_what_the_project_measured_elsewhere_is_not_this_runs() -> None:
    made = dataclasses.replace(summarize(record()), exploration=exploration(), ablation=ablation())
    text = render(made)
    for start, end in (
        ("activity", "units"),
        ("units", "words"),
        ("exploration", "ablation"),
        ("ablation", "activity"),
    ):
        part = text[text.index(f'<h2 id="{start}"') : text.index(f'<h2 id="{end}"')]
        assert 'class="aside"' in part
        if start != "exploration":  # accuracy of designs is measured on images
            assert "how-measured" not in part, start
    assert "fashion-vit with edge64 and edge256; this run is of two-layers on tiny" in " ".join(
        Page(text).text.split()
    )
