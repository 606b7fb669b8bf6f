"""What each event of the hardware's counters costs on a technology: sums of a few primitive operations.

Every formula below is the datapath of the unit in ``hw/`` in multiplications, additions, registers, table reads and
memory words. Widths and counts are those of the configuration; docs/energy.md explains them and what is left out.
``N``, ``V``, ``G`` are lanes, depth and groups of the array, ``log`` is to base 2. Energies are in pJ until the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import log2
from typing import assert_never

from vitreous.reports.energy.primitives import Primitives
from vitreous.reports.energy.technology import ZERO, MemoryCost, Range, Technology
from vitreous.reports.errors import ReportError
from vitreous.reports.figures.ports import ACCESSES, DRAM_PORTS
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.counters import MATRIX_IDLE, UNIT_CYCLES, HardwareCounter
from vitreous.spec.isa import INSTRUCTION_BYTES, Memory
from vitreous.spec.layout import memory_words, word_bits
from vitreous.spec.numbers import ACCUMULATOR_BITS, INT16, MULTIPLIER_BITS, SCORE, SHIFT_BITS
from vitreous.spec.softmax import CODE
from vitreous.spec.variants import ActivationVariant, NormVariant, SoftmaxVariant

PJ = 1e-12
NO_COST = "exact is float64: no hardware has it, so nothing is known of its energy"

NO_ENERGY: Mapping[str, str] = dict.fromkeys(
    (*MATRIX_IDLE, *UNIT_CYCLES),
    "what a unit waits for, or that it works: the cycle is paid by `cycles`, the work by its own events",
)
"""Counters that are not events: why they have no energy of their own."""


@dataclass(frozen=True, slots=True)
class EventCost:
    """``joules`` that ``unit`` takes for each count of counter ``event``.

    formula : how they follow, the same for every accelerator; docs/energy.md has the table. values : what its letters
    stand for on this one.
    """

    unit: str
    event: HardwareCounter
    joules: Range
    formula: str
    values: str = ""

    @property
    def how(self) -> str:
        """The formula with its values."""
        return with_values(self.formula, self.values)


def with_values(formula: str, values: str) -> str:
    """``b bits; b = 64``."""
    return f"{formula}; {values}" if values else formula


def memory_shape(config: AcceleratorConfig, memory: Memory) -> tuple[float, int]:
    """(KiB, bits of a word) of an on-chip memory; S is both of its slots."""
    bits = word_bits(config, memory)
    return memory_words(config, memory) * bits / 8 / 1024, bits


def memory_access(cost: MemoryCost, config: AcceleratorConfig, memory: Memory) -> Range:
    """A word of ``b`` bits from ``max(1, b / 64)`` banks of 64 bits that share the capacity, all read at once."""
    kib, bits = memory_shape(config, memory)
    banks = max(1.0, bits / 64)
    return cost.at(kib / banks) * banks


def _smooth(config: AcceleratorConfig, p: Primitives) -> Range:
    """GELU or SiLU of one lane; ``f``: fraction bits, ``b``: bits within a step of the table."""
    f, b = config.activation.fraction_bits, max(10 - config.activation.step_bits, 1)
    match config.activation.variant:
        case ActivationVariant.DELTA if config.activation.interpolate:
            return p.table(2 * f) + p.add(f) + p.mul(f, b) + p.add(17 + f) + p.reg(84)
        case ActivationVariant.DELTA:
            return p.table(f) + p.add(17 + f) + p.reg(84)
        case ActivationVariant.TABLE:
            return p.table(f + 5) + p.reg(50)
        case ActivationVariant.POLY:
            return p.mul(13, 13) + p.mul(16, 13) + p.mul(29, 13) + p.add(64) + p.reg(107)
        case ActivationVariant.SHIFT:  # a division of 16 steps
            return 16 * p.add(17) + 4 * p.add(17) + p.mul(16, 16) + p.reg(546)
        case ActivationVariant.EXACT:
            raise ReportError(NO_COST)
        case _:
            assert_never(config.activation.variant)


def _softmax(config: AcceleratorConfig, p: Primitives) -> tuple[Range, Range]:
    """One score of one lane on its way into the running maximum and sum; a stored score that becomes a probability."""
    fraction, level = config.softmax.fraction_bits, p.shift(16, 4) + p.add(CODE.width) + p.add(16)
    match config.softmax.variant:
        case SoftmaxVariant.BASE2:
            sums = p.table(fraction + 2) + 2 * p.shift(20, 5) + p.add(SCORE.width) + p.add(32) + p.reg(136)
            return sums, level + p.reg(14)
        case SoftmaxVariant.ONLINE:
            sums = p.table(16) + p.mul(32, 16) + p.shift(20, 4) + p.add(SCORE.width) + p.add(32) + p.reg(162)
            return sums, p.table(16) + level + p.reg(21)
        case SoftmaxVariant.IBERT:
            sums = p.mul(10, 10) + p.shift(19, 4) + 2 * p.add(SCORE.width) + p.add(32) + p.reg(191)
            return sums, p.mul(10, 10) + level + p.reg(36)
        case SoftmaxVariant.ITA:
            sums = p.shift(9, 3) + p.add(8) + p.add(17) + p.reg(77)
            return sums, p.shift(8, 3) + 2 * p.add(16) + p.reg(12)
        case SoftmaxVariant.EXACT:
            raise ReportError(NO_COST)
        case _:
            assert_never(config.softmax.variant)


def _norm(config: AcceleratorConfig, p: Primitives) -> Range:
    """One channel of one lane through all passes of a layer norm."""
    match config.norm.variant:
        case NormVariant.ONE_PASS:
            gather = p.mul(16, 16) + p.add(48) + p.add(28)
            scale = p.mul(16, 13) + p.add(29) + p.mul(30, 16) + p.shift(46, 6) + p.add(8)
            return gather + scale + 2 * p.reg(198)
        case NormVariant.TWO_PASS:
            centred = p.add(28) + 2 * p.add(21) + p.mul(21, 21) + p.add(53)
            return centred + p.mul(21, 16) + p.shift(37, 6) + p.add(8) + 3 * p.reg(157)
        case NormVariant.EXACT:
            raise ReportError(NO_COST)
        case _:
            assert_never(config.norm.variant)


_PRODUCT_BITS = ACCUMULATOR_BITS + MULTIPLIER_BITS
_RESULT_BITS = max(INT16.width, SCORE.width)
_REQUANTIZE_REGISTERS = _PRODUCT_BITS + SHIFT_BITS + (_RESULT_BITS + 2) + 1 + _RESULT_BITS
"""Product, distance, what is left after the shift, whether a bit was lost, and the result."""
REQUANTIZATION = (
    f"add({ACCUMULATOR_BITS}) + mul({ACCUMULATOR_BITS}, {MULTIPLIER_BITS}) + add({_PRODUCT_BITS}) + "
    f"shift({_PRODUCT_BITS}, 6) + add({_RESULT_BITS}) + reg({_REQUANTIZE_REGISTERS})"
)


def _requantize(p: Primitives) -> Range:
    """``saturate(((acc + bias) * m >> s) + zero_point)``."""
    return (
        p.add(ACCUMULATOR_BITS)
        + p.mul(ACCUMULATOR_BITS, MULTIPLIER_BITS)
        + p.add(_PRODUCT_BITS)
        + p.shift(_PRODUCT_BITS, 6)
        + p.add(_RESULT_BITS)
        + p.reg(_REQUANTIZE_REGISTERS)
    )


def _array_costs(config: AcceleratorConfig, p: Primitives) -> list[EventCost]:
    n, v, g = config.array.lanes, config.array.depth, config.array.groups
    levels = int(log2(v))
    elements, acc = n * n * g, ACCUMULATOR_BITS
    tree = sum((v >> level) * (15 + level) for level in range(1, levels + 1))
    multiply = p.mul(8, 8) * v + p.add(tree)
    accumulate = p.add(acc) + p.reg(acc)
    bits = 8 * n * v * (1 + g)
    event = HardwareCounter.ARRAY_BUSY
    return [
        EventCost(
            "array multipliers",
            event,
            multiply * elements,
            "N²G (V mul(8, 8) + the adder tree of V products); padded lanes and channels too, they are fed zeros",
        ),
        EventCost(
            "array accumulators",
            event,
            (accumulate + p.reg(16 + levels)) * elements,
            f"N²G (add({acc}) + reg({acc}) + reg(16 + log V))",
        ),
        EventCost("array operands", event, p.reg(bits) + p.wire(bits), "8NV(1 + G) bits: reg and wire"),
    ]


LANE_REGISTERS = 262 + 84 + 136 + 198
"""Of one lane, synthesized for UltraScale+ with the default variants: fusion, GELU, softmax statistics, layer norm."""
PROBABILITY_REGISTERS = 14
"""Of one of the V probabilities that a lane makes in a cycle."""
SHARED_REGISTERS = 8200
"""Control, queues, DMA, row scale: the rest of the smallest named accelerator."""


def register_bits(config: AcceleratorConfig) -> float:
    """Registers of the accelerator, which have a clock and leak.

    ``N^2 G (16 + log V + 2 * 32) + 16 N V`` of the array, ``N (LANE_REGISTERS + PROBABILITY_REGISTERS V)`` of the
    lanes, and ``SHARED_REGISTERS``.
    """
    n, v, g = config.array.lanes, config.array.depth, config.array.groups
    array = n * n * g * (16 + log2(v) + 2 * ACCUMULATOR_BITS) + 16 * n * v
    return array + n * (LANE_REGISTERS + PROBABILITY_REGISTERS * v) + SHARED_REGISTERS


def _lane_costs(config: AcceleratorConfig, p: Primitives) -> list[EventCost]:
    n, v, log_n, acc = config.array.lanes, config.array.depth, log2(config.array.lanes), ACCUMULATOR_BITS
    statistics, probability = _softmax(config, p)
    return [
        EventCost(
            "epilogue",
            HardwareCounter.READOUT_COLUMNS,
            (2 * p.reg(acc) + p.shift(acc, log_n) + _requantize(p)) * n,
            f"N (2 reg({acc}) + shift({acc}, log N) + requantization)",
        ),
        EventCost(
            "GELU",
            HardwareCounter.ACTIVATION_COLUMNS,
            (_smooth(config, p) + _requantize(p)) * n,
            "N (table, products and sums of the variant + requantization)",
            f"{config.activation.function}, {config.activation.variant}",
        ),
        EventCost(
            "softmax statistics",
            HardwareCounter.SCORE_COLUMNS,
            statistics * n,
            "N (table or product, shifts, comparison, sum of the variant)",
            config.softmax.variant,
        ),
        EventCost(
            "softmax probabilities",
            HardwareCounter.S_READS,
            probability * (n * v),
            "NV (shift, table or product, rounding of the variant)",
            config.softmax.variant,
        ),
        EventCost(
            "vector unit",
            HardwareCounter.NORM_COLUMNS,
            _norm(config, p) * n,
            "N (squares and sums of all passes + normalization of the variant)",
            config.norm.variant,
        ),
    ]


def _memory_costs(config: AcceleratorConfig, p: Primitives) -> list[EventCost]:
    costs = []
    for memory in Memory:
        kib, bits = memory_shape(config, memory)
        for access, event in ACCESSES[memory].items():
            value = f"memory_{access}"
            energy = memory_access(p.technology.memories[value], config, memory)
            formula = (
                "a word of b bits: max(1, b/64) banks of 64 bits that share the capacity, each at "
                f"{value} of its capacity"
            )
            costs.append(
                EventCost(f"{memory.name} memory", event, energy, formula, f"b = {bits}, {kib:g} KiB")
            )
    return costs


def _transport_costs(config: AcceleratorConfig, p: Primitives) -> list[EventCost]:
    bits, instruction = config.bus.data_bits, 8 * INSTRUCTION_BYTES
    beat, formula = p.wire(bits) + p.reg(2 * bits), "wire(b) + 2 reg(b) of a beat of b bits"
    return [
        *(EventCost("AXI port", event, beat, formula, f"b = {bits}") for event in DRAM_PORTS.values()),
        EventCost(
            "dispatch",
            HardwareCounter.INSTRUCTIONS,
            p.reg(3 * instruction),
            f"3 reg({instruction}): in fetch, in a queue and in a unit",
        ),
    ]


def _clock_costs(config: AcceleratorConfig, p: Primitives) -> list[EventCost]:
    energy = p.technology["clock_bit"] * register_bits(config)
    return [EventCost("clock", HardwareCounter.CYCLES, energy, "clock_bit × all registers")]


@lru_cache(maxsize=256)
def event_costs(config: AcceleratorConfig, technology: Technology) -> tuple[EventCost, ...]:
    """Costs of every event on chip, in the order in which a table should show them."""
    p = Primitives(technology)
    costs = (
        *_array_costs(config, p),
        *_lane_costs(config, p),
        *_memory_costs(config, p),
        *_transport_costs(config, p),
        *_clock_costs(config, p),
    )
    return tuple(replace(cost, joules=cost.joules * PJ) for cost in costs)


STATIC_FORMULA = "leakage_register × all registers + leakage_memory × KiB + device_power, by time"


def static_power(config: AcceleratorConfig, technology: Technology) -> Range:
    """Watts whatever the accelerator does: leakage of registers with their logic and of memories, and the device."""
    kib = sum((memory_shape(config, memory)[0] for memory in Memory), 0.0)
    logic = technology["leakage_register"] * (register_bits(config) * 1e-6)
    return sum((logic, technology["leakage_memory"] * (kib * 1e-3)), start=ZERO) + technology["device_power"]
