import random
from typing import NamedTuple

import pytest

from tests.hw.softmax.test_rowscale import row_scale
from tests.support.hw.columns import pack, run_pipeline, unpack
from tests.support.hw.softmax_reference import (
    MASKED,
    Row,
    carried,
    inverse,
    level,
    planes,
    row_of,
    shift_right,
)
from vitreous.hw.matrix.scores import Scores
from vitreous.hw.softmax.prologue import ProbabilityPrologue
from vitreous.hw.softmax.softmax import VARIANTS as PARTS
from vitreous.hw.softmax.softmax import SoftmaxStatistics, prologue
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, SoftmaxConfig
from vitreous.spec.numbers import SCORE
from vitreous.spec.softmax import CODE, limits

LOW, HIGH = SCORE.minimum, SCORE.maximum
VARIANTS = ["base2", "online", "ibert", "ita"]
ALL = [
    *((variant, bits) for variant in VARIANTS for bits in (8, 9)),
    *(pytest.param(variant, bits, marks=pytest.mark.slow) for variant in VARIANTS for bits in (6, 7)),
]


def make_config(
    variant: str,
    fraction_bits: int,
    lanes: int = 4,
    depth: int = 1,
    keys: int = 512,
    probability_bits: int = 16,
) -> AcceleratorConfig:
    softmax = SoftmaxConfig(variant=variant, fraction_bits=fraction_bits, probability_bits=probability_bits)
    return AcceleratorConfig(
        array=ArrayConfig(lanes=lanes, depth=depth), softmax=softmax, memory=MemoryConfig(score_keys=keys)
    )


def rows_of_scores(rng: random.Random, keys: int, lanes: int, bits: int) -> list[list[int]]:
    """One row for each lane, of one kind or another."""

    def row() -> list[int]:
        kind = rng.randrange(9)
        if kind == 0:
            return [rng.randrange(LOW, HIGH + 1) for _ in range(keys)]
        if kind == 1:
            return [rng.choice([LOW, LOW + 1, HIGH])] * keys  # flat, also at an end
        if kind == 2:  # every jump of the integer part beyond 32, where the range has room for it
            start = rng.randrange(LOW, LOW + 100)
            return [min(HIGH, start + j * ((33 << bits) + rng.randrange(1 << bits))) for j in range(keys)]
        if kind == 3:  # a slow rise: many rescalings
            start = rng.randrange(LOW, 0)
            return [min(HIGH, start + j * rng.randrange(1, 2 << bits)) for j in range(keys)]
        if kind == 4:  # a slow fall: many rounded terms
            return [max(LOW, HIGH - j * rng.randrange(1, 1 << bits)) for j in range(keys)]
        if kind == 5:
            return [rng.choice([LOW, HIGH]) for _ in range(keys)]
        center, spread = rng.randrange(-8000, 8000), rng.choice([100, 600, 3000])
        return [center + rng.randrange(-spread, spread) for _ in range(keys)]

    return [row() for _ in range(lanes)]


class Task(NamedTuple):
    scores: list[list[int]]
    slot: int
    multiplier: int
    shift: int
    first_block: bool
    last_block: bool
    last_cycle: int


def constants(task: Task) -> int:
    blocks = task.first_block << 22 | task.last_block << 23
    return task.slot | task.multiplier << 1 | task.shift << 16 | blocks


def stimulus(
    rng: random.Random, config: AcceleratorConfig, sizes: list[int]
) -> tuple[list[dict[str, int]], list[Task]]:
    """Rows back to back where their ends are far enough apart, else after a gap; some with gaps inside. Where the
    variant has blocks, some are blocks of one row."""
    lanes, passes = config.array.lanes, limits(config.softmax).passes
    inputs: list[dict[str, int]] = []
    tasks: list[Task] = []
    for keys in sizes:
        junk = {"valid": 0, "first": 1, "last": 1, "constants": rng.getrandbits(24)}
        scores = rows_of_scores(rng, keys, lanes, config.softmax.fraction_bits)
        gaps = rng.random() < 0.3
        # A gap before the row, or before its last column.
        early = rng.random() < 0.5
        earliest = tasks[-1].last_cycle + lanes + (passes - 1) * len(tasks[-1].scores[0]) if tasks else 0
        blocks = limits(config.softmax).blocks
        first = not tasks or (tasks[-1].last_block and not (blocks and rng.random() < 0.1))
        last = not blocks or rng.random() < 0.5
        multiplier, shift = rng.randrange(1 << 14, 1 << 15), rng.randrange(5, 24)
        task = Task(scores, rng.getrandbits(1), multiplier, shift, first, last, 0)
        for key in range(keys):
            end = key == keys - 1
            while (end or not (early or key)) and len(inputs) + keys - 1 - key < earliest:
                inputs.append({**junk, "score": rng.getrandbits(SCORE.width * lanes)})
            while gaps and rng.random() < 0.3:
                inputs.append({**junk, "score": rng.getrandbits(SCORE.width * lanes)})
            row = constants(task)
            inputs.append(
                {
                    "valid": 1,
                    "first": int(key == 0),
                    "last": int(end),
                    "constants": row if end else rng.getrandbits(24),
                    "score": pack((row[key] for row in scores), SCORE.width),
                }
            )
        tasks.append(task._replace(last_cycle=len(inputs) - 1))
    inputs.append({"valid": 0, "score": 0})
    return inputs, tasks


SIZES = [1, 1, 1, 2, 3, 1, 5, 4, 4, 8, 1, 17, 33, 50, 1, 2, 2, 64, 129, 255, 7, 8, 9, 1, 40, 1, 1, 30, 30]
RESULTS = ["maximum", "factor", "row_multiplier", "row_shift"]


def looks(config: AcceleratorConfig, tasks: list[Task]) -> dict[int, int]:
    """Cycles in which a task's results are looked at: when they are new, and before those of its slot's next row."""
    done = [task.last_cycle + Scores.done_latency(config, len(task.scores[0])) for task in tasks]
    found = dict(zip(done, range(len(tasks)), strict=True))
    found |= {
        task.last_cycle + 3: index for index, task in enumerate(tasks) if task.last_cycle + 3 not in found
    }
    for index, task in enumerate(tasks):
        later = [t for t in tasks[index + 1 :] if t.slot == task.slot]
        cycle = later[0].last_cycle if later else done[-1] + 2 * config.array.lanes
        while cycle in found:
            cycle -= 1
        if cycle > task.last_cycle + 3:
            found[cycle] = index
    return found


def row_totals(tasks: list[Task], wanted: list[list[Row]]) -> list[list[int]]:
    """The sum of each lane's row up to and with each task's block."""
    found: list[list[int]] = []
    state: list[tuple[int, int]] = []
    for task, rows in zip(tasks, wanted, strict=True):
        blocks = [(row.maximum, row.total) for row in rows]
        if not task.first_block:
            blocks = [combined(*pair) for pair in zip(state, blocks, strict=True)]
        state = blocks
        found.append([total for _, total in state])
    return found


def combined(row: tuple[int, int], block: tuple[int, int]) -> tuple[int, int]:
    largest = max(row[0], block[0])
    sums = (shift_right(total, largest - maximum) for maximum, total in (row, block))
    return largest, sum(sums) % (1 << 32)


def check_statistics(config: AcceleratorConfig, sizes: list[int], seed: str) -> None:
    rng, softmax, lanes = random.Random(seed), config.softmax, config.array.lanes
    dut = SoftmaxStatistics(config)
    inputs, tasks = stimulus(rng, config, sizes)
    tail = Scores.done_latency(config, len(tasks[-1].scores[0])) + 2 * lanes
    inputs += [{}] * tail
    checks = looks(config, tasks)
    for cycle, index in checks.items():
        slots = {"level_slot": tasks[index].slot, "scale_slot": tasks[index].slot}
        inputs[cycle] = {**inputs[cycle], **slots}
    seen = run_pipeline(dut, inputs, ["o_valid", "code", "done", "block_done", *RESULTS], cycles=len(inputs))
    # Codes, cycle by cycle.
    codes = [unpack(s["code"], CODE.width, lanes, signed=True) for s in seen if s["o_valid"]]
    assert [t for t, s in enumerate(seen) if s["o_valid"]] == [
        t + dut.LATENCY for t, i in enumerate(inputs) if i.get("valid")
    ]
    wanted = [[row_of(row, softmax) for row in task.scores] for task in tasks]
    assert codes == [
        list(column) for rows in wanted for column in zip(*(row.codes for row in rows), strict=True)
    ]
    # Results of each row, in the cycle of `done`.
    done = [task.last_cycle + Scores.done_latency(config, len(task.scores[0])) for task in tasks]
    assert [t for t, s in enumerate(seen) if s["done"]] == [
        cycle for cycle, task in zip(done, tasks, strict=True) if task.last_block
    ]
    assert [t for t, s in enumerate(seen) if s["block_done"]] == [
        task.last_cycle + dut.BLOCK_LATENCY for task in tasks if not task.last_block
    ]
    totals = row_totals(tasks, wanted)
    width = len(dut.maximum.as_value()) // lanes
    for cycle, index in checks.items():
        task, rows, result = tasks[index], wanted[index], seen[cycle]
        later = [t.last_cycle for t in tasks[index + 1 :] if t.slot == task.slot]
        if not later or cycle <= later[0]:  # else the slot's next row is short and close
            assert unpack(result["maximum"], width, lanes, signed=True) == [row.maximum for row in rows]
        if cycle < done[index] or not task.last_block:
            continue
        if softmax.variant == "ita":
            scales = [(task.multiplier, task.shift + 7) for _ in rows]
        else:
            offset = limits(softmax).row_exponent
            scales = [row_scale(total, task.multiplier, task.shift, offset) for total in totals[index]]
        assert unpack(result["row_multiplier"], 15, lanes, signed=False) == [m for m, _ in scales]
        assert unpack(result["row_shift"], 6, lanes, signed=False) == [s for _, s in scales]
        factors = [inverse(row.total) if softmax.variant == "ita" else 0 for row in rows]
        assert unpack(result["factor"], 8, lanes, signed=False) == factors


@pytest.mark.alike(2)
@pytest.mark.parametrize(("variant", "bits"), ALL)
def test_statistics(variant: str, bits: int) -> None:
    lanes = 8 if bits == 8 else 4
    check_statistics(make_config(variant, bits, lanes), SIZES, f"{variant}{bits}")


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_longest_rows(variant: str) -> None:
    """Rows of the stated range, flat and rising ones among them, with short ones between."""
    keys = limits(SoftmaxConfig(variant=variant)).max_keys
    config = make_config(variant, 8, lanes=32, keys=4096)
    check_statistics(config, [keys, 1, keys, 2, keys - 1, 1, 1, keys], variant)


def reachable_codes(config: SoftmaxConfig) -> list[int]:
    """Every code that a score can have."""
    return sorted({code for t in range(LOW, HIGH + 1) for code in row_of([t], config).codes})


def prologue_vectors(config: SoftmaxConfig) -> list[tuple[int, int, int]]:
    """(code, maximum, factor): every code below the largest maximum, every distance that leaves something, codes
    above the maximum, and masked ones at every maximum."""
    bits, rng = config.fraction_bits, random.Random(config.fraction_bits)
    codes = reachable_codes(config)
    if config.variant == "base2":
        top = HIGH >> bits
        vectors = []
        for code in codes:
            a = code >> (bits + 1)
            for maximum in sorted(
                {min(a + d, top) for d in (*range(19), 31, 32, 2 * top)} | {max(a - 1, -top)}
            ):
                if maximum <= a + 1 or code % 8 == a % 8 or abs(a) < 2:
                    vectors.append((code, maximum, 0))
        return vectors + [(MASKED, maximum, 0) for maximum in range(-top, top + 1)] + [(0, 0, 0), (0, -1, 0)]
    if config.variant == "ita":
        maxima = range(-128, 128)
        pairs = [(code, maximum) for code in codes for maximum in maxima]
        vectors = [(code, maximum, rng.choice([255, 254, 1, rng.randrange(256)])) for code, maximum in pairs]
        vectors += [(code, 127, factor) for code in codes for factor in range(256)]
        return vectors + [(MASKED, maximum, 255) for maximum in maxima]
    vectors = [(code, HIGH, 0) for code in codes]
    for d in range(-3, 18 << bits):
        t = rng.randrange(max(LOW, LOW - d), min(HIGH, HIGH - d) + 1)
        vectors.append((t, t + d, 0))
    return vectors + [(MASKED, maximum, 0) for maximum in range(LOW, HIGH + 1, 5)] + [(MASKED, LOW, 0)]


def some_vectors(config: SoftmaxConfig) -> list[tuple[int, int, int]]:
    """Of ``prologue_vectors`` the first and last ones, those of the largest levels, and a thousand others.

    The case "ProbabilityPrologue" of campaigns.vectors has all codes and distances, in all planes, in compiled RTL.
    """
    vectors, rng = prologue_vectors(config), random.Random(config.fraction_bits)
    largest = sorted(vectors, key=lambda vector: -level(*vector, config))[:32]
    masked = [vector for vector in vectors if vector[0] == MASKED]
    return [*vectors[:64], *vectors[-64:], *masked[:16], *largest, *rng.sample(vectors, 1000)]


def latency_of(config: AcceleratorConfig) -> int:
    return ProbabilityPrologue.latency(PARTS[config.softmax.variant].levels)


def run_prologue(config: AcceleratorConfig, vectors: list[tuple[int, int, int]], plane: int) -> list[int]:
    """One vector in each lane, a row of one key; ``config`` has a depth of 1."""
    count, latency = config.array.lanes, latency_of(config)
    padded = vectors + [vectors[-1]] * (-len(vectors) % count)
    words = [padded[i : i + count] for i in range(0, len(padded), count)]
    dut = prologue(config)
    width = len(dut.maximum.as_value()) // count
    inputs = [
        {
            "first": 1,
            "code": pack((v[0] for v in w), CODE.width),
            "maximum": pack((v[1] for v in w), width),
            "factor": pack((v[2] for v in w), 8),
            "plane": plane,
        }
        for w in words
    ]
    seen = run_pipeline(dut, inputs, ["o"], cycles=len(inputs) + latency)
    found = [p for s in seen[latency:] for p in unpack(s["o"], 8, count, signed=True)]
    return found[: len(vectors)]


@pytest.mark.alike(1)
@pytest.mark.parametrize(("variant", "bits"), ALL)
def test_prologue_codes_and_distances(variant: str, bits: int) -> None:
    config = make_config(variant, bits, lanes=8)
    vectors = some_vectors(config.softmax)
    levels = [level(*vector, config.softmax) for vector in vectors]
    assert max(levels) > 47_000
    assert run_prologue(config, vectors, 0) == [carried([found])[0] for found in levels]
    assert run_prologue(config, vectors, 1) == [planes(found)[0] for found in levels]
    assert run_prologue(config, vectors, 2) == [planes(found)[1] for found in levels]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("lanes", "depth", "probability_bits"), [(4, 1, 16), (8, 4, 8), (4, 8, 16)])
def test_prologue_rows(variant: str, lanes: int, depth: int, probability_bits: int) -> None:
    """Element ``lane*V + v`` is of its lane's row, whose words carry a remainder; planes of adjacent rows differ."""
    config = make_config(variant, 8, lanes, depth, probability_bits=probability_bits)
    rng, softmax = random.Random(lanes * depth), config.softmax
    dut = prologue(config)
    width = len(dut.maximum.as_value()) // lanes
    inputs, wanted = [], []
    for words in (1, 1, 2, 40, 3, 1, 17, 60):
        keys = words * depth
        rows = [row_of([rng.randrange(-2000, 2000) for _ in range(keys)], softmax) for _ in range(lanes)]
        factors, plane = [rng.randrange(256) for _ in rows], rng.randrange(3 if probability_bits == 16 else 1)
        levels = [
            [level(code, row.maximum, factor, softmax) for code in row.codes]
            for row, factor in zip(rows, factors, strict=True)
        ]
        found = [[planes(n)[plane - 1] for n in row] if plane else carried(row) for row in levels]
        for at in range(0, keys, depth):
            inputs.append(
                {
                    "first": int(at == 0),
                    "code": pack((code for row in rows for code in row.codes[at : at + depth]), CODE.width),
                    "maximum": pack((row.maximum for row in rows), width),
                    "factor": pack(factors, 8),
                    "plane": plane,
                }
            )
            wanted.append([p for row in found for p in row[at : at + depth]])
    latency = latency_of(config)
    seen = run_pipeline(dut, inputs, ["o"], cycles=len(inputs) + latency)
    assert [unpack(s["o"], 8, lanes * depth, signed=True) for s in seen[latency:]] == wanted
