"""The figures behind the page's sections, by hand: waits, roofline, memory map."""

import copy

import pytest

from tests.support.reports.recorded import buffer, large_record, matmul, norm, record, record_data, transfer
from vitreous.reports import summarize
from vitreous.reports.draw.chart import Axis, place
from vitreous.reports.energy.page import log_axis, placed
from vitreous.reports.energy.technology import Range
from vitreous.reports.figures.memory_map import DramRegion, runs
from vitreous.reports.figures.schedule import EMPTY, arrivals, waits
from vitreous.reports.record.record import from_dict
from vitreous.spec.isa import Memory, Opcode, Queue

LOAD, MATRIX, ROW = Queue.LOAD, Queue.MATRIX, Queue.VECTOR


def test_a_wait_is_for_the_queue_that_gave_the_last_token() -> None:
    program = (
        transfer(Opcode.LOAD, "a", Memory.W).with_tokens(wait=0, signal=1 << MATRIX),
        transfer(Opcode.LOAD, "b", Memory.W).with_tokens(wait=0, signal=1 << MATRIX),
        matmul("a", row_tiles=1, columns=4, k_words=4).with_tokens(wait=1 << LOAD, signal=1 << ROW),
        norm("n").with_tokens(wait=1 << MATRIX, signal=1 << MATRIX),
        matmul("b", row_tiles=1, columns=4, k_words=4).with_tokens(wait=1 << LOAD | 1 << ROW, signal=0),
    )
    spans = ((LOAD, 0, 0, 10), (MATRIX, 2, 12, 20), (ROW, 3, 21, 50), (LOAD, 1, 10, 30), (MATRIX, 4, 55, 60))
    assert arrivals(program, spans) == {0: {}, 1: {}, 2: {LOAD: 10}, 3: {MATRIX: 20}, 4: {LOAD: 30, ROW: 50}}
    assert sorted(waits(program, spans)) == [
        (MATRIX, 0, 10, LOAD),
        (MATRIX, 10, 12, EMPTY),
        (MATRIX, 20, 30, LOAD),
        (MATRIX, 30, 50, ROW),
        (MATRIX, 50, 55, EMPTY),
        (ROW, 0, 20, MATRIX),
        (ROW, 20, 21, EMPTY),
    ]


def test_spans_and_waits_of_a_queue_fill_its_time_until_its_last_retire() -> None:
    schedule = summarize(record()).schedule
    for queue in Queue:
        ends = [span[3] for span in schedule.spans if span[0] == queue]
        worked = sum(span[3] - span[2] for span in schedule.spans if span[0] == queue)
        waited = sum(end - start for q, start, end, _ in schedule.waits if q == queue)
        assert worked + waited == max(ends)


def test_roofline_by_hand() -> None:
    found = summarize(record(), clock_mhz=100).roofline
    assert found.peak == 32 * 100e6
    assert [slope.bytes_per_second for slope in found.slopes] == [8 * 100e6, 16 * 100e6, 8 * 100e6]
    assert found.ridge == 4
    first, second = found.points
    # One load of one word, a beat of 8 bytes; 600 MAC in 42 cycles.
    assert (first.dram_bytes, first.intensity, first.bound) == (8, 75, "array")
    assert first.attained == pytest.approx(600 / 42 * 100e6)
    assert first.panel_intensity == pytest.approx(600 / (2 * 20 * 8))
    # One store of one word of R, 8 bytes; 200 MAC in 43 cycles.
    assert (second.dram_bytes, second.intensity) == (8, 25)
    assert found.whole is not None
    assert found.whole.dram_bytes == 16


def test_a_slow_memory_is_the_ceiling() -> None:
    data = record_data()
    data["simulation"]["memory_throughput"] = 3
    found = summarize(from_dict(data), clock_mhz=100).roofline
    assert found.slopes[0].bytes_per_second == pytest.approx(0.24 * 100e6)
    assert [(p.bound, p.roof) for p in found.points] == [
        ("DRAM", pytest.approx(75 * 24e6)),
        ("DRAM", pytest.approx(25 * 24e6)),
    ]


def test_a_layer_that_is_loaded_ahead_is_not_above_its_ceiling() -> None:
    data = record_data()
    data["simulation"]["memory_throughput"] = 1
    # 0.08 bytes a cycle allow "second" 25 * 0.08 = 2 MAC a cycle; it has 200 in 43.
    first, second = summarize(from_dict(data), clock_mhz=100).roofline.points
    assert (first.bound, first.roof) == ("array, loaded ahead", 32 * 100e6)
    assert (second.bound, second.roof) == ("array, loaded ahead", 32 * 100e6)
    for report in (summarize(from_dict(data)), summarize(large_record(blocks=2))):
        points = [*report.roofline.points, report.roofline.whole]
        assert all(point is not None and point.attained <= point.roof for point in points)


def test_the_memory_map_has_no_gap_and_no_overlap() -> None:
    found = summarize(record()).memory_map
    for window, size in (("read", found.read_bytes), ("write", found.write_bytes)):
        at = 0
        for region in [r for r in found.dram if r.window == window]:
            assert region.offset == at
            at += region.bytes
        assert at == size
    assert [(r.kind, r.offset, r.bytes) for r in found.dram if r.window == "read"] == [
        ("weights", 0, 8),
        ("alignment", 8, 56),
        ("input image", 64, 48),
        ("alignment", 112, 16),
        ("program", 128, 192),
    ]
    assert {(t.window, t.kind): (t.regions, t.bytes) for t in found.kinds} == {
        ("read", "weights"): (1, 8),
        ("read", "input image"): (1, 48),
        ("read", "program"): (1, 192),
        ("read", "alignment"): (2, 72),
        ("write", "results"): (1, 48),
        ("write", "alignment"): (1, 16),
    }


def test_a_memory_is_as_full_as_the_buffers_that_live_together() -> None:
    chip = {memory.name: memory for memory in summarize(record()).memory_map.chip}
    assert [m.name for m in chip.values()] == ["X", "W", "R", "S", "P"]
    # first out (16) and norm out (4) share instruction 2, the norm.
    assert (chip["X"].used, chip["X"].highest) == (20, 20)
    assert chip["X"].fullest is not None
    assert chip["X"].fullest.layer == "norm"
    assert {use.layer: use.words for use in chip["X"].layers} == {"first": 16, "norm": 20, "second": 4}
    assert (chip["S"].used, chip["S"].fullest) == (0, chip["S"].layers[0])
    data = copy.deepcopy(record_data())
    data["memory"]["buffers"].append(buffer("more", "X", 100, 7, 0, 5))
    assert {m.name: m.used for m in summarize(from_dict(data)).memory_map.chip}["X"] == 27


def test_neighbours_of_one_layer_are_one_run() -> None:
    def region(offset: int, size: int, kind: str, what: str = "") -> DramRegion:
        return DramRegion(window="read", offset=offset, bytes=size, kind=kind, what=what)

    found = runs(
        [
            region(0, 8, "weights", "a"),
            region(8, 8, "parameters", "a"),
            region(16, 4, "alignment"),
            region(20, 8, "weights", "a"),
            region(28, 8, "weights", "b"),
        ]
    )
    assert [(r.offset, r.bytes, r.kinds, r.what, r.regions) for r in found] == [
        (0, 28, ("weights", "parameters"), "a", 3),
        (28, 8, ("weights",), "b", 1),
    ]


def test_axes_and_labels() -> None:
    log = Axis(1, 1000, 0, 300, log=True)
    assert [log(v) for v in (1, 10, 1000)] == pytest.approx([0, 100, 300])
    assert log.ticks() == [1, 10, 100, 1000]
    assert Axis(0.15, 0.6, 0, 1, log=True).ticks() == pytest.approx([0.2, 0.5])
    assert Axis(0.82, 0.93, 0, 1).ticks(6) == pytest.approx([0.82, 0.84, 0.86, 0.88, 0.9, 0.92])
    taken: list[tuple[float, float, float, float]] = []
    for _ in range(8):
        place(100, 100, "name", taken, (0, 0, 200, 200))
    for i, a in enumerate(taken):
        for b in taken[i + 1 :]:
            assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def test_a_range_is_placed_on_a_logarithmic_axis() -> None:
    ranges = [Range(1e-6, 1e-5, 1e-4), Range(0.0, 0.0, 2e-3)]
    axis = log_axis(ranges)
    assert axis == (-6, -2)
    first = placed(ranges[0], axis)
    assert (first.left, first.width, first.at) == pytest.approx((0, 50, 25))
    assert placed(ranges[1], axis).left == 0
