"""The parts of the cycle model, each against counting cycle by cycle or against what the hardware's classes say."""

import random
from dataclasses import replace

import pytest

from tests.support.sim.small import CASES, CONFIGURATIONS, TINY, small_program
from vitreous.hw.matrix.matrix import MatrixUnit
from vitreous.sim.cycles import predict
from vitreous.sim.cycles.bursts import split
from vitreous.sim.cycles.bus import Throttle
from vitreous.sim.cycles.counters import MatrixIdle, covered
from vitreous.sim.cycles.matrix import MatrixModel
from vitreous.sim.cycles.ports import Client, Follower, Port
from vitreous.sim.cycles.store import Pace
from vitreous.sim.dram import MemoryTiming
from vitreous.sim.errors import SimulationError
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, load_accelerator
from vitreous.spec.isa import COUNTERS, Instruction, Memory, Opcode, Queue, make
from vitreous.spec.program import Program

FAST = MemoryTiming(latency=1, throughput=100)


def matmul(config: AcceleratorConfig, **fields: int) -> Instruction:
    """One tile of 5 words from X and W to X, unless ``fields`` say otherwise."""
    flags = "operands scale activation residual slot extra_planes first_block last_block"
    places = "a_base a_stride b_base b_stride o_base o_stride p_base zero_point"
    values = dict.fromkeys((*flags.split(), *places.split()), 0) | {
        "destination": Memory.X, "k_words": 5, "row_tiles": 1, "columns": config.array.lanes,
        "multiplier": 1, "shift": 1,
    }  # fmt: skip
    return make(Opcode.MATMUL, **(values | fields))


def done_of(config: AcceleratorConfig, *instructions: Instruction) -> list[int]:
    """When each is complete; all are offered as early as the unit takes them."""
    done: list[int] = []
    unit = MatrixModel(config, done.append)
    cycle = 0
    for instruction in instructions:
        cycle = max(cycle, unit.ready or 0)
        unit.start(cycle, 0, instruction)
        cycle += 1
    return done


def test_a_tile_is_done_one_latency_and_its_columns_after_its_last_word() -> None:
    config = load_accelerator("edge256")
    assert done_of(config, matmul(config)) == [
        2 + 5 - 1 + MatrixUnit.latency(config) + config.array.lanes - 1
    ]


def test_tiles_follow_without_a_gap_or_at_the_pace_of_the_readout() -> None:
    config = load_accelerator("edge256")
    lanes = config.array.lanes
    for k in (3, lanes, 20):
        first, second = done_of(config, matmul(config, k_words=k), matmul(config, k_words=k))
        assert second - first == max(k, lanes)
    first, second = done_of(config, *2 * (matmul(config, destination=Memory.S, k_words=lanes),))
    assert second - first == 2 * lanes - 1  # one score row directly after another


@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (4, 4), (4, 8), (8, 2)])
def test_words_are_written_with_their_last_columns(lanes: int, depth: int) -> None:
    """Column by column, with k at and above the pace of the readout: every width of a row, also of the last tile."""
    config = replace(TINY, array=ArrayConfig(lanes=lanes, depth=depth))
    for columns in range(1, 4 * lanes + 2):
        for k in (2, lanes + 3):
            unit = MatrixModel(config, lambda done: None)
            unit.start(0, 0, matmul(config, columns=columns, row_tiles=3, k_words=k))
            tiles, period = -(-columns // lanes), max(k, lanes)
            ends = [c for c in range(columns) if c % depth == depth - 1 or c == columns - 1]
            expected = {
                (row * tiles + c // lanes) * period + c % lanes - ends[0] // lanes * period - ends[0] % lanes
                for row in range(3)
                for c in ends
            }
            client = unit.writes[Memory.X]
            busy = [c for c in range(client.last + 1) if client.before(c + 1) > client.before(c)]
            assert {cycle - busy[0] for cycle in busy} == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_port_counts_the_cycles_that_others_leave(seed: int) -> None:
    pick = random.Random(seed)
    clients, busy = [Client(), Client()], set()
    for client in clients:
        at = pick.randrange(10)
        for _ in range(6):
            step, uses, repeats = pick.choice((1, 1, 4)), pick.randrange(1, 9), pick.randrange(1, 5)
            period = (uses - 1) * step + pick.randrange(1, 9)
            train = {at + i * period + j * step for i in range(repeats) for j in range(uses)}
            client.use(at, repeats, period, uses, step)
            at = max(train) + pick.randrange(1, 12)
            if client is clients[0] or not train & busy:  # two clients in one cycle count twice
                busy |= train
            else:
                clients[1] = Client()
                break
    if clients[1].last < 0:
        busy = {cycle for cycle in range(400) if clients[0].before(cycle + 1) > clients[0].before(cycle)}
    port = Port(*clients)
    for first in range(0, 60, 7):
        free = [cycle for cycle in range(first, 900) if cycle not in busy]
        for accesses in (1, 2, 9, 30):
            assert port.after(first, accesses) == free[accesses - 1]


@pytest.mark.parametrize("seed", range(10))
def test_a_follower_uses_what_the_first_leaves(seed: int) -> None:
    """Its spans become longer while they last, and what the first one does is known as late as it happens."""
    pick = random.Random(seed)
    first = Client()
    follower = Follower(first)
    taken: set[int] = set()
    asked: set[int] = set()
    at = 0
    for _ in range(6):
        start = at + pick.randrange(1, 20)
        end = start + pick.randrange(30)
        follower.ask(start, end)
        if pick.random() < 0.7:
            uses = pick.randrange(1, 20)
            begin = pick.randrange(start, end + 5)
            first.use(begin, 1, uses, uses)
            taken |= set(range(begin, begin + uses))
        longer = end + pick.randrange(20)
        follower.extend(longer)
        asked |= set(range(start, longer + 1))
        at = max(longer, first.last)
        free = [cycle for cycle in range(at + 100) if cycle not in taken | asked]
        port = Port(first, follower)
        assert [port.after(c, 1) for c in range(0, at, 3)] == [
            next(f for f in free if f >= c) for c in range(0, at, 3)
        ]


@pytest.mark.parametrize("percent", [1, 37, 50, 99, 100])
def test_the_memory_gives_as_many_beats_as_the_bench(percent: int) -> None:
    """The read channel of sim/run/bench.sv, cycle by cycle."""
    pick = random.Random(percent)
    throttle, credit, cycle = Throttle(percent), 0, 0
    while credit < 100:
        credit, cycle = credit + percent, cycle + 1
    offset, ready = cycle, 0
    for _ in range(30):
        ready += pick.randrange(300)
        count = pick.choice((1, 4, 16))
        expected = []
        while len(expected) < count:
            now = cycle - offset
            if now >= ready and credit >= 100:
                expected.append(now)
                credit += percent - 100
            elif credit < 100:
                credit += percent
            cycle += 1
        first, later = throttle.beats(ready, count)
        assert [first + delay for delay in later] == expected
        ready = expected[-1] + 1


@pytest.mark.parametrize("percent", [1, 37, 50, 99, 100])
def test_the_memory_takes_as_many_beats_as_the_bench(percent: int) -> None:
    """The write channel of sim/run/bench.sv, cycle by cycle, for bursts whose beats come at any time."""
    pick = random.Random(percent)
    pace, taken, credit, cycle = Pace(percent), -2, 0, -200
    ready = opened = False

    def clock(valid: bool, accepted: bool, last: bool) -> bool:
        """One cycle of the bench; whether a beat is taken in it."""
        nonlocal credit, cycle, ready, opened
        take, level = valid and ready, credit
        ready = (opened or accepted) and not (take and last) and level >= 100
        opened = (opened or accepted) and not (take and last)
        credit += (percent if level < 100 else 0) if not take else percent - 100
        cycle += 1
        return take

    for _ in range(40):
        accept = max(taken + 2 + pick.choice((0, 0, 1, 5, 150)), 0)
        while cycle < accept:
            clock(False, False, False)
        pace.open(accept)
        clock(False, True, False)
        count = pick.choice((1, 2, 7))
        for beat in range(count):
            earliest = max(accept + 1, taken + 1) + pick.choice((0, 0, 0, 1, 3, 40))
            while not clock(cycle >= earliest, False, beat == count - 1):
                pass
            taken = cycle - 1
            assert pace.take(earliest) == taken


def test_no_burst_crosses_a_page_or_is_too_long() -> None:
    assert list(split(4096 - 24, 100, 8, 4)) == [3, 4, 4, 2]
    assert list(split(0, 1, 8, 16)) == [1]
    assert list(split(4064, 4096 + 32, 32, 64)) == [1, 64, 64]


def test_intervals_count_once() -> None:
    assert covered([(0, 4), (2, 3), (3, 9), (20, 20)]) == 11


def test_an_idle_array_waits_for_the_lowest_queue() -> None:
    idle = MatrixIdle([(0, 9), (20, 29)])
    idle.waited(5, 25, 0b1010)
    assert idle.waits == [0, 10, 0, 0]


@pytest.mark.parametrize("case", CASES)
def test_a_prediction_is_whole(case: str) -> None:
    program, _ = small_program(TINY, case)
    result = predict(program, TINY, FAST)
    counters = result.counters
    assert list(counters) == [name for name, _ in COUNTERS]
    assert counters["cycles"] == result.cycles
    assert counters["instructions"] == len(program.instructions)
    assert sorted(span.pc for span in result.spans) == list(range(len(program.instructions) - 1))
    for queue in Queue:
        own = [span for span in result.spans if span.queue is queue]
        assert [span.pc for span in own] == sorted(span.pc for span in own)
        assert [span.end for span in own] == sorted(span.end for span in own)
    causes = [name for name in counters if name.startswith("matrix_")]
    assert counters["array_busy"] + sum(counters[name] for name in causes) <= result.cycles


def test_a_slower_memory_takes_longer() -> None:
    program, _ = small_program(TINY, "several tiles, pooled")
    times = [
        predict(program, TINY, MemoryTiming(latency=latency, throughput=throughput)).cycles
        for latency, throughput in ((1, 100), (40, 100), (200, 100), (200, 20))
    ]
    assert times == sorted(set(times))


def test_a_missing_token_is_an_error() -> None:
    program, _ = small_program(TINY, "one token, one head, pooled")
    waits = matmul(TINY).with_tokens(wait=1 << Queue.VECTOR, signal=0)
    broken = Program(**{**vars(program), "instructions": (waits, *program.instructions)})
    with pytest.raises(SimulationError, match="does not reach its END in the cycle model"):
        predict(broken, TINY, FAST)


def test_another_accelerator_is_refused() -> None:
    program, _ = small_program(TINY, "one token, one head, pooled")
    other = next(config for config in CONFIGURATIONS.values() if config is not TINY)
    with pytest.raises(SimulationError, match="was compiled for configuration"):
        predict(program, other, FAST)
