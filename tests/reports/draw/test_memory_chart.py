"""The picture of the on-chip memories: every buffer is a rectangle at its words and its time, with its name."""

import copy
import re
from html import unescape

import pytest

from tests.support.reports.recorded import buffer, record, record_data
from vitreous.reports import Report, summarize
from vitreous.reports.draw import memory_chart
from vitreous.reports.draw.memory_chart import GAP, LEFT, STRIP
from vitreous.reports.record.record import from_dict

WIDTH = 1100


def drawn(report: Report) -> list[tuple[str, float, float, float, float]]:
    """(class, left, top, width, height) of each rectangle of a buffer."""
    text = memory_chart.draw(report, "wide", WIDTH)
    found = re.findall(
        r'<rect class="(u-[^"]+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', text
    )
    return [(name, *map(float, numbers)) for name, *numbers in found]


def titles(report: Report) -> list[str]:
    return [
        unescape(title).replace("\u202f", " ")
        for title in re.findall(r"<title>(.*?)</title>", memory_chart.draw(report, "wide", WIDTH))
    ]


def test_a_buffer_lies_at_its_words_and_its_time() -> None:
    report = summarize(record())
    per_cycle = (WIDTH - 8 - LEFT) / report.schedule.cycles
    shapes = drawn(report)
    assert [shape[0] for shape in shapes] == ["u-x", "u-x pale", "u-w", "u-r"]
    # "first out": words 0 to 15 of 20, from the issue of instruction 1 to the end of 2; "norm out" above it.
    _, left, top, width, height = shapes[0]
    assert left == pytest.approx(LEFT + 13 * per_cycle, abs=0.1)
    assert width == pytest.approx((60 - 13) * per_cycle, abs=0.1)
    assert height == pytest.approx(STRIP * 16 / 20, abs=0.1)
    assert (top + height, shapes[1][2] + shapes[1][4]) == pytest.approx((GAP - 6 + STRIP, top), abs=0.1)
    # X, W and R have a strip each; S and P have no buffers here.
    assert shapes[2][2] == pytest.approx(GAP - 6 + STRIP + GAP)


def test_a_pointer_finds_all_that_is_known() -> None:
    assert titles(summarize(record())) == [
        "first out of first: words 0 to 15 of X, 128 bytes; cycles 13 to 60",
        "norm out of norm: words 16 to 19 of X, 32 bytes; cycles 42 to 85",
        "first weights of first: words 0 to 0 of W, 8 bytes; cycles 2 to 42",
        "second out of second: words 4 to 6 of R, 24 bytes; cycles 61 to 95",
    ]


def test_without_a_trace_time_is_instructions() -> None:
    data = record_data()
    data["simulation"]["spans"] = []
    assert titles(summarize(from_dict(data)))[0].endswith("128 bytes; instructions 1 to 3")


def test_a_name_stands_where_there_is_room_and_is_escaped() -> None:
    data = copy.deepcopy(record_data())
    data["memory"]["buffers"].append(buffer("<b> & co", "X", 20, 20, 0, 4))
    data["memory"]["buffers"].append(buffer("a name that is longer than its time" * 3, "W", 1, 1, 0, 1))
    report = summarize(from_dict(data))
    inside = re.findall(r'<text class="inside"[^>]*>([^<]*)</text>', memory_chart.draw(report, "wide", WIDTH))
    assert "&lt;b&gt; &amp; co" in inside
    assert "first out" in inside
    assert not [name for name in inside if name.startswith("a name")]
    assert "inside" not in memory_chart.draw(report, "narrow", 60)


def test_a_long_name_loses_its_beginning() -> None:
    assert memory_chart.short("blocks.0.fc1.out", 120) == "blocks.0.fc1.out"
    assert memory_chart.short("blocks.0.fc1.out", 100) == "0.fc1.out"
    assert memory_chart.short("blocks.0.fc1.out", 30) == "out"
    assert memory_chart.short("blocks.0.fc1.out", 10) == ""


def test_the_table_has_what_takes_most() -> None:
    data = copy.deepcopy(record_data())
    data["memory"]["buffers"] += [buffer(f"more {n}", "X", 20 + n, 1, 3, 4) for n in range(20)]
    found = memory_chart.largest(summarize(from_dict(data)))
    assert [life.buffer.name for life in found if life.buffer.memory == "X"][:2] == ["first out", "norm out"]
    assert len([life for life in found if life.buffer.memory == "X"]) == memory_chart.LARGEST
    assert {life.buffer.memory for life in found} == {"X", "W", "R"}
    assert found[0].weight == 128 * 47


def test_without_buffers_there_is_no_picture() -> None:
    data = record_data()
    data["memory"]["buffers"] = []
    assert memory_chart.draw(summarize(from_dict(data)), "wide", WIDTH) == ""
