"""Energy: sums by hand, every counter accounted for, layers that add up, and no call that takes long."""

from __future__ import annotations

import dataclasses
import time

import pytest

from tests.spec.test_work import matmul
from vitreous.reports.area.area import area
from vitreous.reports.energy import energy as module
from vitreous.reports.energy.energy import energy, layer_energy
from vitreous.reports.energy.event_costs import (
    NO_ENERGY,
    event_costs,
    memory_access,
    memory_shape,
    register_bits,
    static_power,
)
from vitreous.reports.energy.formulas import formulas_table
from vitreous.reports.energy.technology import ZERO, Range, load_dram, load_technology, named_technologies
from vitreous.reports.errors import ReportError
from vitreous.reports.figures.events import events, fetch_beats
from vitreous.spec.config import (
    AcceleratorConfig,
    ActivationConfig,
    ArrayConfig,
    NormConfig,
    SoftmaxConfig,
    load_accelerator,
    named_accelerators,
)
from vitreous.spec.isa import COUNTERS, Memory, Opcode, make
from vitreous.spec.work import work

CONFIG = load_accelerator("edge256")
BASE = load_technology("asic-45nm")
NAMES = [name for name, _ in COUNTERS]


def counters(**values: int) -> dict[str, int]:
    return dict.fromkeys(NAMES, 0) | {"cycles": 1000} | values


def cost(unit: str, event: str) -> Range:
    (found,) = [c.joules for c in event_costs(CONFIG, BASE) if (c.unit, c.event) == (unit, event)]
    return found


@pytest.mark.parametrize("name", ["edge64", "edge256"])
def test_registers_are_those_of_synthesis(name: str) -> None:
    """Clock and leakage need them within a fifth or so; their energies are far less certain."""
    config = load_accelerator(name)
    assert register_bits(config) == pytest.approx(area(config, "xcup").total.ff, rel=0.2)


def test_every_counter_has_a_cost_or_a_reason() -> None:
    costed = {c.event for c in event_costs(CONFIG, BASE)}
    assert costed | set(NO_ENERGY) == set(NAMES)
    assert not costed & set(NO_ENERGY)
    assert all(NO_ENERGY.values())


def test_an_event_without_a_cost_is_refused() -> None:
    with pytest.raises(ReportError, match="^Event 'topk_columns' has no cost"):
        energy(counters(topk_columns=1), CONFIG, BASE, dram="ddr4", clock_mhz=200)


def test_a_new_counter_of_the_hardware_is_refused_until_it_has_a_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "COUNTERS", (*COUNTERS, ("topk_columns", "")))
    with pytest.raises(ReportError, match="^Event 'topk_columns' has no cost"):
        energy(counters(), CONFIG, BASE, dram="ddr4", clock_mhz=200)


def test_a_counter_that_is_missing_is_refused() -> None:
    some = counters()
    del some["x_reads"]
    with pytest.raises(ReportError, match="^The counters lack x_reads: their energy would be missing"):
        energy(some, CONFIG, BASE, dram="ddr4", clock_mhz=200)


@pytest.mark.parametrize("clock", [0, -1, float("nan"), float("inf")])
def test_a_clock_that_is_none(clock: float) -> None:
    with pytest.raises(ReportError, match="^The clock must be a positive number of MHz"):
        energy(counters(), CONFIG, BASE, dram="ddr4", clock_mhz=clock)
    with pytest.raises(ReportError, match="^The clock must be a positive number of MHz"):
        layer_energy({}, {}, CONFIG, BASE, dram="ddr4", clock_mhz=clock)


def test_the_multipliers_of_a_word_by_hand() -> None:
    """8 x 8 elements of 4 products: 256 multiplications of 0.3 pJ, and sums of 2 x 16 and 17 bits for each element."""
    expected = 64 * (4 * 0.3 + 0.19 / 32 * (2 * 16 + 17))
    assert cost("array multipliers", "array_busy").typical == pytest.approx(expected * 1e-12)


def test_a_word_of_w_is_read_from_banks_of_64_bits() -> None:
    """256 bits of 128 KiB are 4 banks of 32 KiB: 4 x 20 pJ."""
    assert memory_shape(CONFIG, Memory.W) == (128, 256)
    assert cost("W memory", "w_reads").typical == pytest.approx(80e-12)
    assert memory_shape(CONFIG, Memory.S) == (9, 576)
    assert memory_shape(CONFIG, Memory.P) == (32, 64)


def test_a_narrow_word_costs_a_bank() -> None:
    small = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=1))
    assert memory_shape(small, Memory.W) == (128, 32)
    read = BASE.memories["memory_read"]
    assert memory_access(read, small, Memory.W) == read.at(128)


def test_dram_by_hand() -> None:
    """3 beats of 64 bits, at 9.5 pJ a bit typically."""
    found = energy(
        counters(load_beats=1, fetch_beats=1, store_beats=1), CONFIG, BASE, dram="ddr4", clock_mhz=200
    )
    assert found.by_unit["DRAM"].typical == pytest.approx(3 * 64 * 9.5e-12)
    assert found.by_unit["DRAM"].low == pytest.approx(3 * 64 * load_dram("ddr4").bit_pj.low * 1e-12)


def test_static_and_clock_by_hand() -> None:
    """1000 cycles at 200 MHz are 5 us."""
    found = energy(counters(), CONFIG, BASE, dram="ddr4", clock_mhz=200)
    assert found.seconds == pytest.approx(5e-6)
    watts = static_power(CONFIG, BASE)
    kib = 256 + 128 + 160 + 32 + 9
    assert watts.high == pytest.approx(2.74e-6 * register_bits(CONFIG) + 0.459e-3 * kib)
    assert found.by_unit["static"].high == pytest.approx(watts.high * 5e-6)
    assert found.by_unit["clock"].typical == pytest.approx(1000 * 0.0018e-12 * register_bits(CONFIG))
    assert found.power_w.typical == pytest.approx(found.total.typical / 5e-6)


def test_parts_add_up_and_are_ranges() -> None:
    found = energy(dict.fromkeys(NAMES, 1000), CONFIG, BASE, dram="lpddr4", clock_mhz=300)
    for end in ("low", "typical", "high"):
        parts = [getattr(part.joules, end) for part in found.parts]
        assert min(parts) >= 0
        assert getattr(found.total, end) == pytest.approx(sum(parts))
        assert sum(getattr(x, end) for x in found.by_unit.values()) == pytest.approx(sum(parts))
    assert found.total.low < found.total.typical < found.total.high
    assert all(part.how for part in found.parts)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(NO_ENERGY) - {"cycles"}))
def test_each_event_adds_energy(name: str) -> None:
    none = energy(counters(), CONFIG, BASE, dram="ddr4", clock_mhz=200).total
    more = energy(counters(**{name: 7}), CONFIG, BASE, dram="ddr4", clock_mhz=200).total
    assert more.low > none.low
    assert more.typical > none.typical
    assert more.high > none.high


@pytest.mark.parametrize("name", NO_ENERGY)
def test_a_wait_adds_none(name: str) -> None:
    none = energy(counters(), CONFIG, BASE, dram="ddr4", clock_mhz=200)
    assert energy(counters(**{name: 7}), CONFIG, BASE, dram="ddr4", clock_mhz=200) == none


@pytest.mark.parametrize("name", named_accelerators())
def test_every_accelerator_has_the_formulas_of_the_page(name: str) -> None:
    """Only the values of their letters differ."""
    costs = event_costs(load_accelerator(name), BASE)
    table = formulas_table()
    assert all(
        f"{c.unit}" in table and f"`{c.event}`" in table and f"| {c.formula} |" in table for c in costs
    )
    assert all(c.how.startswith(c.formula) for c in costs)
    (words,) = [c.how for c in costs if c.event == "load_beats"]
    assert words == f"wire(b) + 2 reg(b) of a beat of b bits; b = {load_accelerator(name).bus.data_bits}"


@pytest.mark.parametrize("variant", ["delta", "table", "poly", "shift"])
@pytest.mark.parametrize("technology", named_technologies())
def test_every_gelu_costs_more_than_the_requantization_beside_it(variant: str, technology: str) -> None:
    config = dataclasses.replace(CONFIG, activation=ActivationConfig(variant=variant))
    costs = {c.event: c.joules for c in event_costs(config, load_technology(technology))}
    assert costs["activation_columns"].typical > 0.5 * costs["readout_columns"].typical


@pytest.mark.parametrize("variant", ["base2", "online", "ibert", "ita"])
def test_every_softmax_has_a_cost(variant: str) -> None:
    config = dataclasses.replace(CONFIG, softmax=SoftmaxConfig(variant=variant))
    costs = {c.unit: c.joules for c in event_costs(config, BASE)}
    assert costs["softmax statistics"].low > 0
    assert costs["softmax probabilities"].low > 0


def test_the_other_variants_cost_something_else() -> None:
    def row(variant: str) -> Range:
        config = dataclasses.replace(CONFIG, norm=NormConfig(variant=variant))
        return {c.event: c.joules for c in event_costs(config, BASE)}["norm_columns"]

    assert row("one_pass") != row("two_pass")
    plain = dataclasses.replace(CONFIG, activation=ActivationConfig(interpolate=False))
    assert {c.event: c.joules for c in event_costs(plain, BASE)}["activation_columns"] != cost(
        "GELU", "activation_columns"
    )


def test_layers_add_up_to_the_run() -> None:
    program = [
        dataclasses.replace(matmul(), label="a"),
        dataclasses.replace(matmul(residual=1, destination=Memory.R), label="b"),
        dataclasses.replace(matmul(), label="a"),
        make(Opcode.END, label="end"),
    ]
    cycles = {"a": 600, "b": 300, "after the last product": 100}
    rows = layer_energy(events(program, CONFIG).layers, cycles, CONFIG, BASE, dram="ddr4", clock_mhz=200)
    assert [row.label for row in rows] == ["a", "b", "after the last product", "end"]
    counts = counters(**work(program, CONFIG), fetch_beats=fetch_beats(4, CONFIG))
    whole = energy(counts, CONFIG, BASE, dram="ddr4", clock_mhz=200).total
    total = sum((row.total for row in rows), start=ZERO)
    assert (total.low, total.typical, total.high) == pytest.approx((whole.low, whole.typical, whole.high))
    assert rows[0].dynamic.typical > rows[1].dynamic.typical
    assert rows[2].dynamic == ZERO


@pytest.mark.parametrize(("bits", "beats"), [(64, 4), (128, 2), (256, 1)])
def test_beats_of_an_instruction(bits: int, beats: int) -> None:
    config = dataclasses.replace(CONFIG, bus=dataclasses.replace(CONFIG.bus, data_bits=bits))
    assert fetch_beats(10, config) == 10 * beats


def test_a_call_takes_under_5_ms() -> None:
    """Median of ten; the exploration calls it for every point, each with its own configuration."""
    times = []
    for extra in range(10):
        config = dataclasses.replace(
            CONFIG, memory=dataclasses.replace(CONFIG.memory, parameter_entries=4096 + extra)
        )
        start = time.process_time()
        assert energy(counters(array_busy=extra), config, BASE, dram="ddr4", clock_mhz=200).total.low > 0
        times.append(time.process_time() - start)
    assert sorted(times)[5] < 5e-3
