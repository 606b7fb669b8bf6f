import copy
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.reports.ablated import ablation
from tests.support.reports.explored import exploration
from tests.support.reports.recorded import large_record, record, record_data
from vitreous.reports import ReportError, summarize
from vitreous.reports.draw import timeline
from vitreous.reports.draw.chart import tick_step
from vitreous.reports.exploration import exploration as explorations
from vitreous.reports.figures.schedule import schedule
from vitreous.reports.formatting import breakable, code, counted, figures3, grouped, percent, with_prefix
from vitreous.reports.page.additions import with_additions
from vitreous.reports.page.page import CONTENTS, SECTIONS, folder, render
from vitreous.reports.record.provenance import HOWS
from vitreous.reports.record.record import from_dict

VOID = {"meta", "br", "wbr"}


class Page(HTMLParser):
    """Collects elements, their text, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.html = text
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        else:
            self.text += data


@pytest.mark.parametrize("made", [record(), large_record(blocks=2)])
def test_page_loads_nothing_from_anywhere(made: Any) -> None:
    text = render(summarize(made))
    page = Page(text)
    assert page.open == []
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "base", "audio", "video"}
        assert not {"src", "srcset", "action"} & set(attributes)
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#"), "a place or a marker of the same page"
    assert not re.search(
        r"https?:|//[a-z]|@import|url\((?!#)|@font-face", re.sub(r"^\s*//.*$", "", text, flags=re.M)
    )


def test_page_shows_the_figures() -> None:
    page = Page(render(summarize(record(), clock_mhz=250)))
    shown = page.text.replace("\u202f", " ")
    for words in ("two-layers on tiny", "Equal to golden", "6 values compared", "75.00 %", "Float 87.50 %"):
        assert words in shown
    assert "at 250 MHz (given)" in shown
    assert "counter cycles, mean over the simulated images" in shown
    assert "`" not in shown


def test_page_shows_a_difference_and_names_the_tensor() -> None:
    data = copy.deepcopy(record_data())
    data["checks"][0]["tensors"][0]["different"] = 4
    page = Page(render(summarize(from_dict(data))))
    assert "Differs from golden" in page.text
    assert "4 of 6 values" in page.text
    assert "Equal to golden" not in page.text
    assert ("details", {"open": None}) in page.elements


def test_page_says_when_nothing_was_compared_or_traced() -> None:
    data = record_data()
    data["checks"] = []
    data["simulation"]["spans"] = []
    page = Page(render(summarize(from_dict(data))))
    assert "Not compared" in page.text
    assert "recorded no trace" in page.text
    assert page.scripts == []


def test_an_exploration_has_its_front_and_marks_this_accelerator() -> None:
    made = dataclasses.replace(summarize(record()), exploration=exploration())
    page = Page(render(made))
    assert page.open == []
    text = " ".join(page.text.split())
    assert "40 designs estimated, 4 on the Pareto front" in text
    assert "3 (this accelerator)" in text
    assert text.count("(this accelerator)") == 1
    # The model says 3 % less than the RTL.
    assert "-3.00\u202f%" in page.text
    circles = [attributes for tag, attributes in page.elements if tag == "circle"]
    front = [a for a in circles if a.get("class") == "dot u-array"]
    assert len(front) == 4 * 2 * 2, "each point in two charts of two sizes"
    assert len([a for a in circles if a.get("class") == "confirmed"]) == 4
    assert "Exploration" not in Page(render(summarize(record()))).text


def test_an_ablation_shows_factors_and_how_cycles_were_obtained() -> None:
    page = Page(render(dataclasses.replace(summarize(record()), ablation=ablation())))
    assert page.open == []
    text = " ".join(page.text.split())
    assert "what is there instead of double buffering" in text
    assert "1\u202f500×1.500" in page.text
    assert "-0.13\u202f%" in page.text, "the cycle model beside the measured cycles"
    assert "other results" in text
    widths = [
        a["style"] for tag, a in page.elements if tag == "i" and "bar thin u-array" in str(a.get("class"))
    ]
    assert widths == ["width:100.0%", "width:100.0%"], "nothing for a row that is faster"


def test_additions_come_from_the_folder_or_from_what_is_given(tmp_path: Path) -> None:
    report, run, other = summarize(record()), tmp_path / "run", tmp_path / "other"
    run.mkdir()
    assert with_additions(report, run) == report
    explorations.save(exploration(), run)
    other.mkdir()
    (other / "ablation.json").write_text(json.dumps(ablation().as_dict()))
    found = with_additions(report, run, ablation_of=other)
    assert found.exploration is not None
    assert found.exploration.name == "space"
    assert found.ablation == ablation()
    assert found.as_dict()["ablation"]["rows"][1]["factors"]["latency"] == 1.5
    with pytest.raises(ReportError, match=r"Cannot read .*nothing"):
        with_additions(report, run, ablation_of=tmp_path / "nothing")


def test_names_cannot_break_the_page() -> None:
    data = record_data()
    data["model"]["name"] = "<script>alert(1)</script>"
    data["instructions"] = [[code, label and "</script><b>" + label] for code, label in data["instructions"]]
    data["model"]["layers"] = []
    text = render(summarize(from_dict(data)))
    page = Page(text)
    assert "<script>alert" not in text
    assert len(page.scripts) == 2
    assert json.loads(page.scripts[0])["labels"][0] == "</script><b>first"


def test_schedule_data_holds_every_span() -> None:
    made = large_record(blocks=2)
    page = Page(render(summarize(made)))
    data = json.loads(page.scripts[0])
    assert len(data["spans"]) == len(made.simulation.spans)
    assert data["cycles"] == made.simulation.images[0].counters["cycles"]
    assert data["queues"] == ["load", "matrix", "vector", "store"]


def test_picture_puts_spans_to_scale() -> None:
    drawn = schedule(record())
    scale = (timeline.WIDTH - timeline.LEFT) / 100
    assert f'x="{timeline.LEFT + 13 * scale:.1f}"' in timeline.svg(drawn)
    assert f'width="{29 * scale:.1f}"' in timeline.svg(drawn)
    assert [(drawn.labels[band[0]], *band[1:]) for band in timeline.layer_bands(drawn)] == [
        ("first", 13, 42),
        ("second", 61, 85),
    ]


@pytest.mark.parametrize(
    ("cycles", "step"), [(1, 1), (8, 1), (9, 2), (41, 10), (100, 20), (415_448, 100_000)]
)
def test_ticks_are_round(cycles: int, step: int) -> None:
    assert tick_step(cycles) == step


def test_numbers_for_people() -> None:
    assert grouped(1234567) == "1\u202f234\u202f567"
    assert grouped(1234.56) == "1\u202f234.6"
    assert [counted(v) for v in (1.5e6, 999, 1.2537e9)] == ["1.5 million", "999", "1.25 billion"]
    assert [figures3(v) for v in (0, 0.012345, 41.27, 39999, 1.234e-7)] == [
        "0",
        "0.0123",
        "41.3",
        "40\u202f000",
        "1.23e-07",
    ]
    assert [with_prefix(v, "J") for v in (1.234e-3, 0.0, 2.5e-13, 31.0)] == [
        "1.23\u202fmJ",
        "0\u202fJ",
        "0.25\u202fpJ",
        "31\u202fJ",
    ]
    assert percent(0.12345) == "12.3\u202f%"
    assert code("a `b` <c>") == "a <code>b</code> &lt;c&gt;"
    assert breakable("blocks.0<") == "blocks.<wbr>0&lt;"


def test_every_section_has_its_template_and_every_anchor_its_place() -> None:
    found = {path.stem for path in (folder() / "sections").glob("*.html")}
    assert found == {*SECTIONS, "accuracy"}, "a tile of the summary"
    text = render(summarize(large_record(blocks=1)))
    page = Page(text)
    places = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = {str(attributes["href"])[1:] for tag, attributes in page.elements if tag == "a"}
    assert links <= places
    assert links >= {"time", "layers", "roofline", "memory", "sources"}
    assert set(CONTENTS) | {"changes", "everything"} >= links


def test_every_figure_says_in_a_word_how_it_was_obtained() -> None:
    page = Page(render(summarize(record())))
    words = [attributes for _, attributes in page.elements if "how" in str(attributes.get("class")).split()]
    assert len(words) > 40
    for attributes in words:
        how = str(attributes["class"]).removeprefix("how how-")
        assert how in HOWS
        assert str(attributes["title"]).startswith(how)
    assert "latency assumed" in " ".join(page.text.split()).lower()
    given = Page(render(summarize(record(), clock_mhz=100)))
    assert "latency given" in " ".join(given.text.split()).lower()


def test_the_width_of_probabilities_has_a_table() -> None:
    text = render(summarize(record()))
    page = Page(text)
    assert "Precision of the probabilities" in page.text
    assert "0.00610" in page.text
    assert percent(0.0123, 3) in page.text
    # One attention with 16 bits, one with 8: the total is of the widths that were taken.
    assert grouped(8192 + 4096) in page.text
    # Why: the errors of the output, and what the layer with 16 bits gains; the other's gain stands in the table.
    assert "0.0233 with 8 bits everywhere, 0.0195 with 16, 0.0201 as chosen" in page.text
    assert (
        "16 bits in first: alone they take 25.4 % (95 % interval 21.0 to 29.5 %) off the squared error"
        in page.text
    )
    assert percent(0.031) in page.text
    data = record_data()
    data["model"]["attention"] = []
    assert "Precision of the probabilities" not in render(summarize(from_dict(data)))


def test_activity_says_by_how_much_the_event_model_is_off() -> None:
    report = summarize(record())
    assert report.activity, "measurements come with the project"
    page = Page(render(report))
    whole = [row for row in report.activity if row.part == "all" and row.data == "real"]
    for row in whole:
        assert row.deviation is not None
        assert f"{100 * row.deviation:+.0f}\u202f%".replace("-", "−") in page.text
    entry = next(e for e in report.as_dict()["activity"] if e["data"] == "real")
    assert entry["deviation"] == whole[0].deviation
    assert "Activity" not in Page(render(dataclasses.replace(report, activity=()))).text
