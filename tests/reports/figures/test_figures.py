"""Numbers by hand from the two-layer run of recorded.py: 100 cycles, 30 array words, 32 MAC a cycle."""

import copy

import pytest

from tests.support.reports.recorded import CONFIG, large_record, matmul, norm, record, record_data, transfer
from vitreous.reports.errors import ReportError
from vitreous.reports.figures import figures
from vitreous.reports.figures.events import events, fetch_beats
from vitreous.reports.record.record import Record, from_dict
from vitreous.spec.isa import COUNTERS, Activation, Memory, Opcode, Operands, Queue, make
from vitreous.spec.work import work


def test_array_words_are_tiles_times_depth() -> None:
    program = [
        matmul("x", row_tiles=3, columns=9, k_words=7),
        matmul("x", row_tiles=1, columns=1, k_words=1),
        norm("y"),
        matmul("y", row_tiles=1, columns=9, k_words=7, operands=Operands.SW, extra_planes=1),
    ]
    found = events(program, CONFIG)
    assert [counts["array_busy"] for counts in found.instructions] == [3 * 3 * 7, 1, 0, 2 * 3 * 7]
    assert {label: counts["array_busy"] for label, counts in found.layers.items()} == {"x": 64, "y": 42}
    assert found.total["array_busy"] == 106


def test_events_are_those_of_the_whole_program() -> None:
    run = large_record()
    found, whole = events(run.program, run.accelerator), work(run.program, run.accelerator)
    assert {name: count for name, count in found.total.items() if name != "fetch_beats" and count} == +whole
    assert found.total["fetch_beats"] == fetch_beats(len(run.program), run.accelerator)
    assert list(found.layers) == list(dict.fromkeys(i.label for i in run.program))


def layers(run: Record) -> tuple[figures.LayerRow, ...]:
    return figures.layers(run, events(run.program, run.accelerator))


def test_layers_share_out_every_cycle_once() -> None:
    rows = {row.label: row for row in layers(record())}
    assert list(rows) == ["first", "norm", "second", figures.TAIL]
    # "first" is complete at 42; "second" waits from there for the layer norm and is complete at 85.
    assert [row.cycles for row in rows.values()] == [42, 0, 43, 15]
    assert sum(row.share for row in rows.values()) == pytest.approx(1)
    assert [row.array_words for row in rows.values()] == [20, 0, 10, 0]
    assert rows["first"].utilization == pytest.approx(600 / (42 * 32))
    assert rows["second"].utilization == pytest.approx(200 / (43 * 32))
    assert rows["norm"].utilization is None
    assert (rows["first"].load_cycles, rows["norm"].row_cycles, rows["second"].store_cycles) == (10, 18, 10)


def test_an_instruction_that_issues_early_owns_nothing_before_the_retire() -> None:
    data = record_data()
    # The second product issues at 30, while the array works on the first until 42.
    data["simulation"]["spans"][3] = [1, 3, 30, 85]
    rows = {row.label: row.cycles for row in layers(from_dict(data))}
    assert rows == {"first": 42, "norm": 0, "second": 43, figures.TAIL: 15}


def test_a_layer_owns_at_least_the_cycles_of_its_words() -> None:
    data = record_data()
    # "first" retires at 80, five cycles before "second", which has ten words: the array began them before.
    data["simulation"]["spans"][1] = [1, 1, 13, 80]
    rows = {row.label: row for row in layers(from_dict(data))}
    assert {name: row.cycles for name, row in rows.items()} == {
        "first": 75,
        "norm": 0,
        "second": 10,
        figures.TAIL: 15,
    }
    assert rows["second"].utilization == pytest.approx(200 / (10 * 32))
    data["simulation"]["spans"][1] = [1, 1, 13, 19]
    with pytest.raises(ReportError, match="leave the array fewer cycles than its words take"):
        layers(from_dict(data))


def test_overlapping_loads_share_the_cycles_of_their_queue() -> None:
    data = record_data()
    # A second load issues at 5, during the first (2 to 12), and is complete at 20.
    data["simulation"]["spans"].insert(1, [0, 0, 5, 20])
    rows = {row.label: row.load_cycles for row in layers(from_dict(data))}
    assert rows["first"] == 20 - 2


def test_without_a_trace_there_are_no_layers() -> None:
    data = record_data()
    data["simulation"]["spans"] = []
    assert layers(from_dict(data)) == ()


def test_an_array_counter_that_contradicts_the_program_is_refused() -> None:
    data = record_data()
    data["simulation"]["images"][1]["counters"] = {
        **data["simulation"]["images"][1]["counters"],
        "array_busy": 29,
    }
    with pytest.raises(
        ReportError, match=r"Image 1: the array was busy for 29 cycles, .* instructions give it 30 words"
    ):
        layers(from_dict(data))


def test_spans_out_of_order_are_refused() -> None:
    data = record_data()
    spans = data["simulation"]["spans"]
    spans[1], spans[3] = spans[3], spans[1]
    with pytest.raises(ReportError, match="matrix spans of the record do not retire in the order"):
        layers(from_dict(data))


def test_stalls_add_up_to_the_cycles() -> None:
    rows = {row.name: row.cycles for row in figures.stalls(record())}
    assert rows == {
        "array_busy": 30,
        "matrix_wait_load": 12,
        "matrix_wait_matrix": 0,
        "matrix_wait_vector": 18,
        "matrix_wait_store": 0,
        "matrix_stall_readout": 5,
        "matrix_stall_parameters": 0,
        "matrix_empty": 20,
        "other": 15,
    }
    assert sum(row.share for row in figures.stalls(record())) == pytest.approx(1)


def test_every_matrix_counter_is_among_the_causes() -> None:
    named = {name for name, _ in COUNTERS if name.startswith("matrix_")} | {"array_busy"}
    assert set(figures.MATRIX_CAUSES) == named


def test_causes_that_claim_too_many_cycles_are_refused() -> None:
    data = copy.deepcopy(record_data())
    data["simulation"]["images"][0]["counters"]["matrix_empty"] = 36
    with pytest.raises(ReportError, match="counters add up to 101 cycles, more than the 100 of the image"):
        figures.stalls(from_dict(data))


def test_queues_split_busy_waiting_idle() -> None:
    rows = {row.queue: (row.busy, row.waiting, row.idle) for row in figures.queues(record())}
    assert rows == {"load": (10, 0, 90), "matrix": (30, 30, 40), "vector": (18, 40, 42), "store": (10, 0, 90)}


def test_bytes_are_words_times_their_size() -> None:
    rows = {row.port: row for row in figures.traffic(record())}
    # Beats of 8 bytes; X words of 4 lanes * 2 bytes; R words of 4 lanes * 2 bytes; S words of 8 codes of 18 bits.
    sizes = {"AXI read, data": 8, "X read": 8, "R write": 8, "S write": 18, "P read": 8}
    assert {port: rows[port].word_bytes for port in sizes} == sizes
    assert rows["AXI read, data"].bytes == 8
    assert rows["AXI read, instructions"].bytes == 192
    assert rows["S write"].bytes == 36
    assert rows["X read"].load == pytest.approx(0.3)


def test_every_counter_of_words_is_a_port() -> None:
    moved = {name for name, _ in COUNTERS if name.endswith(("_reads", "_writes", "_beats"))}
    assert {row.counter for row in figures.traffic(record())} == moved


@pytest.mark.parametrize(
    ("instruction", "name"),
    [
        (matmul("", row_tiles=1, columns=1, k_words=1), "linear"),
        (matmul("", row_tiles=1, columns=1, k_words=1, activation=Activation.SMOOTH), "linear, activation"),
        (matmul("", row_tiles=1, columns=1, k_words=1, destination=Memory.R), "linear, residual"),
        (matmul("", row_tiles=1, columns=1, k_words=1, destination=Memory.S), "scores"),
        (matmul("", row_tiles=1, columns=1, k_words=1, operands=Operands.SW), "context"),
        (transfer(Opcode.LOAD, "", Memory.W), "load weights"),
        (transfer(Opcode.LOAD, "", Memory.P), "load parameters"),
        (transfer(Opcode.LOAD, "", Memory.R), "load activations"),
        (transfer(Opcode.STORE, "", Memory.X), "store"),
        (norm(""), "layer norm"),
        (make(Opcode.FILL, memory=0, base=0, words=1), "fill"),
    ],
)
def test_kinds_of_instructions(instruction: object, name: str) -> None:
    assert figures.kind(instruction) == name  # type: ignore[arg-type]
    assert name in figures.KINDS


def test_an_instruction_without_a_queue_has_no_kind() -> None:
    with pytest.raises(ReportError, match="END has no place in the schedule"):
        figures.kind(make(Opcode.END))


def test_what_no_program_may_do_has_no_kind() -> None:
    with pytest.raises(ReportError, match="^No product is written to P$"):
        figures.kind(matmul("x", row_tiles=1, columns=1, k_words=1, destination=Memory.P))
    with pytest.raises(ReportError, match="^No LOAD writes to S$"):
        figures.kind(transfer(Opcode.LOAD, "x", memory=Memory.S))


def test_every_queue_has_its_counters() -> None:
    counted = {name for works, waits in figures.QUEUE_CYCLES.values() for name in (works, *waits)}
    assert set(figures.QUEUE_CYCLES) == set(Queue)
    assert counted == {name for name, _ in COUNTERS if name.endswith("_busy") or "_wait_" in name}


def test_layers_of_a_large_run_add_up() -> None:
    large = large_record(blocks=3)
    rows = layers(large)
    assert sum(row.cycles for row in rows) == large.simulation.images[0].counters["cycles"]
    assert sum(row.macs for row in rows) == large.model.macs
    assert sum(row.array_words for row in rows) == large.simulation.images[0].counters["array_busy"]
