import random
from typing import NamedTuple

import pytest

from tests.hw.columns import pack, run_pipeline, unpack
from tests.hw.test_rowscale import row_scale
from vitreous.hw.softmax import ProbabilityPrologue, SoftmaxStatistics, masked_code
from vitreous.spec import tables
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, SoftmaxConfig

VARIANTS = [("base2", 8), ("base2", 7), ("online", 8), ("online", 7)]


def make_config(variant: str, fraction_bits: int, lanes: int = 4, depth: int = 1) -> AcceleratorConfig:
    softmax = SoftmaxConfig(variant=variant, fraction_bits=fraction_bits)
    return AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=depth), softmax=softmax)


class Row(NamedTuple):
    """What docs/numerics.md says about one row of scores."""

    codes: list[int]
    maximum: int
    total: int


def base2_row(t: list[int], config: SoftmaxConfig) -> Row:
    mantissa, bits = tables.exp2_mantissa(config), config.fraction_bits
    maximum = total = 0
    codes = []
    for j, score in enumerate(t):
        a, g = score >> bits, mantissa[score & ((1 << bits) - 1)]
        codes.append(g | (a & 0xFF) << 8)
        if j == 0:
            maximum, total = a, g << 8
        elif a > maximum:
            total = (0 if a - maximum >= 32 else total >> (a - maximum)) + (g << 8)
            maximum = a
        else:
            total += (g << 8) >> (maximum - a)
    return Row(codes, maximum, total)


def online_row(t: list[int], config: SoftmaxConfig) -> Row:
    table, bits = tables.exp2_negative(config), config.fraction_bits

    def e(d: int) -> int:
        return 0 if d >> bits >= 16 else table[d & ((1 << bits) - 1)] >> (d >> bits)

    maximum = total = 0
    for j, score in enumerate(t):
        if j == 0:
            maximum, total = score, 1 << 15
        elif score > maximum:
            total = ((total * e(score - maximum)) >> 15) + (1 << 15)
            maximum = score
        else:
            total += e(maximum - score)
    return Row([score & 0xFFFF for score in t], maximum, total)


def expected_row(t: list[int], config: SoftmaxConfig) -> Row:
    return (base2_row if config.variant == "base2" else online_row)(t, config)


def probability(code: int, maximum: int, config: SoftmaxConfig) -> int:
    """From a code and the final maximum of its row."""
    if config.variant == "base2":
        g, a = code & 0xFF, code >> 8
        d = maximum - (a - 256 if a >= 128 else a)
        return 0 if d >= 8 else min(127, (g + (1 << d)) >> (d + 1))
    table, bits = tables.exp2_probability(config), config.fraction_bits
    d = maximum - (code - 65536 if code >= 32768 else code)
    fraction, places = d & ((1 << bits) - 1), d >> bits
    return 0 if places >= 9 else min(127, (table[fraction] + (1 << places)) >> (places + 1))


def rows_of_scores(rng: random.Random, keys: int, lanes: int, bits: int) -> list[list[int]]:
    """One row for each lane, of one kind or another."""
    low, high = -(1 << 14), (1 << 14) - 1

    def row() -> list[int]:
        kind = rng.randrange(7)
        if kind == 0:
            return [rng.randrange(low, high + 1) for _ in range(keys)]
        if kind == 1:
            return [rng.choice([low, high])] * keys  # ties at an end
        if kind == 2:  # every jump of the integer part beyond 32, where the range has room for it
            start = rng.randrange(low, low + 100)
            return [min(high, start + j * ((33 << bits) + rng.randrange(1 << bits))) for j in range(keys)]
        if kind == 3:  # a slow rise: many rescalings
            start = rng.randrange(low, 0)
            return [min(high, start + j * rng.randrange(1, 2 << bits)) for j in range(keys)]
        if kind == 4:
            return [
                min(high, max(low, rng.randrange(-300, 300) + rng.randrange(low, high))) for _ in range(keys)
            ]
        center = rng.randrange(-8000, 8000)
        return [center + rng.randrange(-600, 600) for _ in range(keys)]

    return [row() for _ in range(lanes)]


class Task(NamedTuple):
    scores: list[list[int]]
    slot: int
    multiplier: int
    shift: int
    last_cycle: int


def stimulus(
    rng: random.Random, config: AcceleratorConfig, sizes: list[int]
) -> tuple[list[dict[str, int]], list[Task]]:
    """Rows back to back where their ends are N cycles apart, else after a gap; some with gaps inside."""
    lanes = config.array.lanes
    inputs: list[dict[str, int]] = []
    tasks: list[Task] = []
    junk = {"valid": 0, "first": 1, "last": 1, "slot": 1, "multiplier": 5, "shift": 60}
    for keys in sizes:
        scores = rows_of_scores(rng, keys, lanes, config.softmax.fraction_bits)
        gaps = rng.random() < 0.3
        while tasks and len(inputs) + keys - 1 < tasks[-1].last_cycle + lanes:
            inputs.append({**junk, "score": rng.getrandbits(16 * lanes)})
        task = Task(scores, rng.getrandbits(1), rng.randrange(1 << 14, 1 << 15), rng.randrange(5, 24), 0)
        for key in range(keys):
            while gaps and rng.random() < 0.3:
                inputs.append({**junk, "score": rng.getrandbits(16 * lanes)})
            last = key == keys - 1
            inputs.append(
                {
                    "valid": 1,
                    "first": int(key == 0),
                    "last": int(last),
                    "slot": task.slot if last else rng.getrandbits(1),
                    "multiplier": task.multiplier if last else 3,
                    "shift": task.shift if last else 63,
                    "score": pack((row[key] for row in scores), 16),
                }
            )
        tasks.append(task._replace(last_cycle=len(inputs) - 1))
    inputs.append({**junk, "score": 0})
    return inputs, tasks


SIZES = [1, 1, 1, 2, 3, 1, 5, 4, 4, 8, 1, 17, 33, 50, 1, 2, 2, 64, 129, 257, 7, 8, 9]


@pytest.mark.parametrize(("variant", "bits"), VARIANTS)
@pytest.mark.parametrize("lanes", [4, 8])
def test_statistics(variant: str, bits: int, lanes: int) -> None:
    rng = random.Random(f"{variant}{bits}{lanes}")
    config = make_config(variant, bits, lanes)
    dut = SoftmaxStatistics(config)
    inputs, tasks = stimulus(rng, config, SIZES * 2)
    delay = dut.SCALE_LATENCY + lanes
    names = ["o_valid", "code", "maximum", "row_multiplier", "row_shift", "done"]
    seen = run_pipeline(dut, inputs, names, cycles=len(inputs) + delay + 2)
    # Codes, cycle by cycle.
    codes = [unpack(s["code"], 16, lanes, signed=False) for s in seen if s["o_valid"]]
    assert [t for t, s in enumerate(seen) if s["o_valid"]] == [
        t + dut.LATENCY for t, i in enumerate(inputs) if i["valid"]
    ]
    wanted = [[expected_row(row, config.softmax) for row in task.scores] for task in tasks]
    assert codes == [
        list(column) for rows in wanted for column in zip(*(row.codes for row in rows), strict=True)
    ]
    # Results of each row, in the cycle of `done`.
    assert [t for t, s in enumerate(seen) if s["done"]] == [task.last_cycle + delay for task in tasks]
    offset = 9 if variant == "base2" else 8
    for index, (task, rows) in enumerate(zip(tasks, wanted, strict=True)):
        # Results are looked at when they are new, and when the slot's next row is about to replace them.
        later = [t.last_cycle for t in tasks[index + 1 :] if t.slot == task.slot]
        scales = [row_scale(row.total, task.multiplier, task.shift, offset) for row in rows]
        for start, end in ((5, 4), (delay, dut.SCALE_LATENCY)):
            for cycle in (task.last_cycle + start, later[0] + end if later else len(seen) - 1):
                result = seen[cycle]
                if start == 5:
                    maxima = slot_of(result, "maximum", task.slot, 16, lanes, signed=True)
                    assert maxima == [row.maximum for row in rows]
                else:
                    assert slot_of(result, "row_multiplier", task.slot, 15, lanes) == [m for m, _ in scales]
                    assert slot_of(result, "row_shift", task.slot, 6, lanes) == [s for _, s in scales]


def slot_of(
    seen: dict[str, int], name: str, slot: int, width: int, lanes: int, *, signed: bool = False
) -> list[int]:
    return unpack(seen[name], width, 2 * lanes, signed=signed)[slot * lanes : (slot + 1) * lanes]


def run_prologue(config: AcceleratorConfig, pairs: list[tuple[int, int]]) -> list[int]:
    """Probabilities of (code, maximum) pairs, one in each lane; ``config`` has a depth of 1."""
    count = config.array.lanes
    pairs = pairs + [pairs[-1]] * (-len(pairs) % count)
    words = [pairs[i : i + count] for i in range(0, len(pairs), count)]
    inputs = [{"code": pack((c for c, _ in w), 16), "maximum": pack((m for _, m in w), 16)} for w in words]
    dut = ProbabilityPrologue(config)
    seen = run_pipeline(dut, inputs, ["o"], cycles=len(inputs) + dut.LATENCY)
    return [p for s in seen[dut.LATENCY :] for p in unpack(s["o"], 8, count, signed=True)]


@pytest.mark.parametrize("bits", [7, 8])
def test_base2_prologue_all_codes_and_distances(bits: int) -> None:
    """Every mantissa at every integer part, at every distance to 12 and at the largest that the range allows."""
    config = make_config("base2", bits, lanes=32)
    mantissas = sorted(set(tables.exp2_mantissa(config.softmax)))
    top = (1 << (14 - bits)) - 1
    pairs = [
        (g | (a & 0xFF) << 8, maximum)
        for g in mantissas
        for a in range(-top - 1, top + 1)
        for maximum in sorted({min(a + d, top) for d in (*range(13), 31, 32, 2 * top + 1)})
    ]
    masked = [(masked_code(config), maximum) for maximum in range(-top - 1, top + 1)]
    got = run_prologue(config, pairs + masked)
    assert got[: len(pairs)] == [probability(c, m, config.softmax) for c, m in pairs]
    assert got[len(pairs) : len(pairs) + len(masked)] == [0] * len(masked)


@pytest.mark.parametrize("bits", [7, 8])
def test_online_prologue_all_codes_and_distances(bits: int) -> None:
    """Every code at the largest maximum, every distance to beyond the last that is not 0, masked codes everywhere."""
    config = make_config("online", bits, lanes=32)
    rng, low, high = random.Random(bits), -(1 << 14), (1 << 14) - 1
    pairs = [(t & 0xFFFF, high) for t in range(low, high + 1)]
    for d in range(10 << bits):
        t = rng.randrange(low, high - d + 1)
        pairs += [(t & 0xFFFF, t + d), (low & 0xFFFF, low + d)]
    masked = [(masked_code(config), maximum) for maximum in range(low, high + 1)]
    got = run_prologue(config, pairs + masked)
    assert got[: len(pairs)] == [probability(c, m, config.softmax) for c, m in pairs]
    assert got[len(pairs) : len(pairs) + len(masked)] == [0] * len(masked)


@pytest.mark.parametrize("variant", ["base2", "online"])
@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (8, 4), (4, 8)])
def test_prologue_places(variant: str, lanes: int, depth: int) -> None:
    """Element ``lane*V + v`` is compared with the maximum of its lane."""
    config, rng = make_config(variant, 8, lanes, depth), random.Random(lanes * depth)
    inputs, wanted = [], []
    for _ in range(200):
        rows = [[rng.randrange(-2000, 2000) for _ in range(depth)] for _ in range(lanes)]
        expected = [expected_row(row, config.softmax) for row in rows]
        codes = [code for row in expected for code in row.codes]
        inputs.append({"code": pack(codes, 16), "maximum": pack((row.maximum for row in expected), 16)})
        wanted.append([probability(c, row.maximum, config.softmax) for row in expected for c in row.codes])
    dut = ProbabilityPrologue(config)
    seen = run_pipeline(dut, inputs, ["o"], cycles=len(inputs) + dut.LATENCY)
    assert [unpack(s["o"], 8, lanes * depth, signed=True) for s in seen[dut.LATENCY :]] == wanted
