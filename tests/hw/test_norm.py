import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from amaranth.sim import Simulator

from tests.hw.columns import pack, unpack
from tests.hw.norm_rows import VARIANTS, norm_row
from vitreous.hw.norm import RowUnit, row_cycles
from vitreous.spec import isa, numbers
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, NormConfig
from vitreous.spec.isa import ErrorCode, Instruction, Opcode

Stall = Callable[[random.Random, int], bool]
STALLS: dict[str, Stall] = {
    "none": lambda rng, cycle: False,
    "regular": lambda rng, cycle: cycle % 3 == 0,
    "random": lambda rng, cycle: rng.random() < 0.4,
    "long": lambda rng, cycle: cycle % 60 < 35,
    "mixed": lambda rng, cycle: STALLS[("random", "none", "long", "regular")[cycle // 130 % 4]](rng, cycle),
    "mixed later": lambda rng, cycle: STALLS["mixed"](rng, cycle + 320),
}


@dataclass
class Bench:
    """A row unit between model memories; ``words[name]`` are raw words, ``log`` every write in order."""

    config: AcceleratorConfig
    r: list[int]
    x_depth: int = 1 << 16
    read_stall: str = "none"
    write_stall: str = "none"
    halt_at: int | None = None
    seed: int = 0
    x: dict[int, int] = field(default_factory=dict)
    log: list[tuple[int, str, int]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    error: tuple[int, int, int] | None = None
    norm_columns: int = 0
    busy: list[bool] = field(default_factory=list)

    def run(self, program: list[Instruction], *, limit: int = 20000, extra: int = 40) -> "Bench":
        """Until every instruction is done or an error is up, then ``extra`` cycles more."""
        dut = RowUnit(self.config)
        rng = random.Random(self.seed)

        async def bench(ctx: Any) -> None:
            pending, cycle, rest = list(enumerate(program, 100)), 0, extra
            while rest:
                taken = self._drive(ctx, dut, pending, rng, cycle)
                data = self._observe(ctx, dut, cycle)
                await ctx.tick()
                if taken:
                    pending.pop(0)
                    self.taken.append(cycle)
                ctx.set(dut.r.data, rng.getrandbits(16 * self.config.array.lanes) if data is None else data)
                finished = len(self.done) == len(program) or self.error or self._halted(cycle)
                rest -= 1 if finished else 0
                cycle += 1
                assert cycle < limit, f"not done after {limit} cycles, seed {self.seed}"

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        return self

    def _halted(self, cycle: int) -> bool:
        return self.halt_at is not None and cycle >= self.halt_at

    def _drive(self, ctx: Any, dut: RowUnit, pending: list[Any], rng: random.Random, cycle: int) -> bool:
        ctx.set(dut.halt, self._halted(cycle))
        ctx.set(dut.i.valid, bool(pending))
        if pending:
            pc, instruction = pending[0]
            ctx.set(dut.i.payload, {"pc": pc, "word": int.from_bytes(instruction.encode(), "little")})
        for port, stall, depth in (
            (dut.r, self.read_stall, len(self.r)),
            (dut.ro, self.write_stall, len(self.r)),
            (dut.xo, self.write_stall, self.x_depth),
        ):
            ctx.set(port.ready, not STALLS[stall](rng, cycle))
            ctx.set(port.fault, ctx.get(port.valid) and ctx.get(port.addr) >= depth)
        return bool(pending) and bool(ctx.get(dut.i.ready))

    def _observe(self, ctx: Any, dut: RowUnit, cycle: int) -> int | None:
        """Record this cycle, perform its writes, return the word that is read in it."""
        for name, port in (("x", dut.xo), ("r", dut.ro)):
            if ctx.get(port.valid) and ctx.get(port.ready) and not ctx.get(port.fault):
                self.log.append((cycle, name, ctx.get(port.addr)))
                memory: Any = self.x if name == "x" else self.r
                memory[ctx.get(port.addr)] = ctx.get(port.data)
        if ctx.get(dut.done):
            self.done.append(cycle)
        if ctx.get(dut.error.valid) and self.error is None:
            self.error = (ctx.get(dut.error.code), ctx.get(dut.error.pc), cycle)
        self.norm_columns += ctx.get(dut.events.norm_column)
        self.busy.append(bool(ctx.get(dut.busy)))
        read = ctx.get(dut.r.valid) and ctx.get(dut.r.ready) and not ctx.get(dut.r.fault)
        return self.r[ctx.get(dut.r.addr)] if read else None


def configuration(variant: str, lanes: int, depth: int) -> AcceleratorConfig:
    return AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=depth), norm=NormConfig(variant=variant))


def random_memory(rng: random.Random, lanes: int, words: int, amplitude: int = 32768) -> list[int]:
    return [pack((rng.randrange(-amplitude, amplitude) for _ in range(lanes)), 16) for _ in range(words)]


def norm_words(i: Instruction, r: list[int], config: AcceleratorConfig) -> dict[int, int]:
    """NORM by docs/numerics.md and docs/machine.md: X address to word."""
    lanes, depth, d = config.array.lanes, config.array.depth, i["channels"]
    words = {}
    for tile in range(i["row_tiles"]):
        start = i["r_base"] + tile * i["r_stride"]
        columns = [unpack(word, 16, lanes, signed=True) for word in r[start : start + d]]
        constants = [i[name] for name in ("epsilon", "multiplier", "shift", "zero_point")]
        rows = [
            norm_row(config.norm.variant, x, *constants, centred=bool(i["centred"]))
            for x in zip(*columns, strict=True)
        ]
        for word in range(-(-d // depth)):
            part = [(row + [0] * depth)[word * depth + v] for row in rows for v in range(depth)]
            words[i["x_base"] + tile * i["x_stride"] + word] = pack(part, 8)
    return words


def pool_words(i: Instruction, r: list[int], config: AcceleratorConfig) -> dict[int, int]:
    """POOL: R address to word."""
    lanes, words = config.array.lanes, {}
    for d in range(i["channels"]):
        tiles = [r[i["r_base"] + t * i["r_stride"] + d] for t in range(i["row_tiles"])]
        values = [v for word in tiles for v in unpack(word, 16, lanes, signed=True)][: i["tokens"]]
        y = numbers.requantize(sum(values), i["multiplier"], i["shift"], 0, numbers.INT16)
        words[i["o_base"] + d] = pack([y] + [0] * (lanes - 1), 16)
    return words


def make_norm(rng: random.Random, *, channels: int, row_tiles: int, **fields: int) -> Instruction:
    values = {
        "r_base": rng.randrange(20),
        "r_stride": channels + rng.randrange(3),
        "channels": channels,
        "row_tiles": row_tiles,
        "x_base": rng.randrange(1000),
        "x_stride": channels + 5,
        "epsilon": rng.choice([1, 77, 1 << 31]),
        "multiplier": rng.randrange(1 << 14, 1 << 15),
        "shift": rng.randrange(7, 12),
        "zero_point": rng.choice([0, 3, -128, 127]),
        "centred": rng.getrandbits(1),
    }
    return isa.make(Opcode.NORM, **{**values, **fields})


def make_pool(rng: random.Random, lanes: int, *, channels: int, tokens: int, **fields: int) -> Instruction:
    row_tiles = -(-tokens // lanes)
    values = {
        "r_base": rng.randrange(20),
        "r_stride": channels + rng.randrange(3),
        "channels": channels,
        "row_tiles": row_tiles,
        "tokens": tokens,
        "o_base": 900 + rng.randrange(20),
        "multiplier": rng.randrange(1 << 14, 1 << 15),
        "shift": 14 + tokens.bit_length() - rng.randrange(2),
    }
    return isa.make(Opcode.POOL, **{**values, **fields})


def check(bench: Bench, program: list[Instruction], *, limit: int = 20000) -> None:
    """Runs NORMs and POOLs and compares every word and the order of writes."""
    expected_x: dict[int, int] = {}
    expected_r, order = list(bench.r), []
    for i in program:
        if i.opcode is Opcode.NORM:
            words = norm_words(i, expected_r, bench.config)
            expected_x |= words
            order += [("x", a) for a in words]
        else:
            words = pool_words(i, expected_r, bench.config)
            order += [("r", a) for a in words]
            for address, word in words.items():
                expected_r[address] = word
    bench.run(program, limit=limit)
    assert [(name, address) for _, name, address in bench.log] == order
    assert bench.x == expected_x
    assert bench.r == expected_r
    assert len(bench.done) == len(program)
    assert bench.error is None
    assert bench.norm_columns == sum(
        i["channels"] * i["row_tiles"] for i in program if i.opcode is Opcode.NORM
    )
    assert not any(bench.busy[bench.done[-1] + 1 :])
    assert bench.done[-1] == bench.log[-1][0] + 1


SHAPES = [
    (4, 1),
    (8, 4),
    *(pytest.param(*shape, marks=pytest.mark.slow) for shape in ((4, 4), (4, 8), (8, 1), (8, 2), (8, 8))),
]


@pytest.mark.parametrize(("lanes", "depth"), SHAPES)
@pytest.mark.parametrize("stalls", ["none/none", "mixed/mixed later"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_norm_and_pool(variant: str, lanes: int, depth: int, stalls: str) -> None:
    config = configuration(variant, lanes, depth)
    rng = random.Random(f"{lanes} {depth} {stalls}")
    program = []
    for _ in range(2):
        program += [
            make_norm(rng, channels=rng.randrange(1, 70), row_tiles=rng.randrange(1, 4)),
            make_pool(rng, lanes, channels=rng.randrange(1, 12), tokens=rng.randrange(1, 40)),
            make_norm(rng, channels=rng.choice([1, 2, depth, depth + 1]), row_tiles=3),
            make_pool(rng, lanes, channels=rng.randrange(1, 30), tokens=rng.randrange(1, lanes + 1)),
        ]
    rng.shuffle(program)
    read, write = stalls.split("/")
    memory = random_memory(rng, lanes, 1000, rng.choice([3, 300, 32768]))
    check(Bench(config, memory, read_stall=read, write_stall=write, seed=rng.getrandbits(16)), program)


@pytest.mark.parametrize("centred", [1, 0])
@pytest.mark.parametrize("variant", VARIANTS)
def test_constant_rows_and_extremes(variant: str, centred: int) -> None:
    """Rows without variance, rows at the ends of int16, saturating outputs, shifts beyond 63."""
    config = configuration(variant, 4, 2)
    rng = random.Random(5)
    rows = [[-32768, 32767, 0, 5]] * 10 + [[-32768, -32768, 1, -1]] * 10 + [[32767, -32768, -32768, 32767]]
    memory = [pack(row, 16) for row in rows] + [0] * 1000
    check(
        Bench(config, memory),
        [
            make_norm(rng, channels=d, row_tiles=1, r_base=r, epsilon=e, shift=s, centred=centred)
            for d, r, e, s in (
                *((21, 0, 1, s) for s in (1, 5, 9, 14, 47, 63)),
                *((10, 0, e, 9) for e in (1, (1 << 32) - 1)),
                *((10, 10, e, 9) for e in (1, (1 << 32) - 1)),
                *((1, r, 1, 9) for r in (0, 10, 20)),
            )
        ],
    )


def test_largest_mean() -> None:
    config, rng = configuration("one_pass", 4, 2), random.Random(5)
    largest = [pack([-32768] * 4, 16)] * 1024 + [0] * 8
    pool = make_pool(
        rng, 4, channels=1, tokens=4096, r_base=0, r_stride=1, o_base=1024, multiplier=16384, shift=14 + 12
    )
    bench = Bench(config, largest)
    check(bench, [pool])
    assert bench.r[1024] == 0x8000


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_size_after_every_other(variant: str) -> None:
    """Shortest instructions one after another: nothing of one reaches the next, a division least of all."""
    config, rng = configuration(variant, 4, 1), random.Random(12)
    program = []
    for channels in (1, 3, 2, 7, 1, 5, 16, 1):
        program.append(make_norm(rng, channels=channels, row_tiles=rng.randrange(1, 3), centred=1))
        program.append(make_pool(rng, 4, channels=1, tokens=rng.randrange(1, 5)))
        program.append(make_norm(rng, channels=channels + 2, row_tiles=1, centred=rng.getrandbits(1)))
    memory = random_memory(rng, 4, 1000)
    check(Bench(config, memory), program)
    check(Bench(config, memory, read_stall="random", write_stall="random", seed=3), program)


@pytest.mark.parametrize("centred", [1, 0])
@pytest.mark.parametrize("variant", VARIANTS)
def test_norm_equals_golden(variant: str, centred: int) -> None:
    torch = pytest.importorskip("torch")
    from vitreous.golden.norm import norm

    torch.set_num_threads(1)
    config, rng = configuration(variant, 8, 4), random.Random(6)
    i = make_norm(rng, channels=192, row_tiles=1, centred=centred)
    memory = random_memory(rng, 8, 300, 4000)
    columns = [unpack(word, 16, 8, signed=True) for word in memory[i["r_base"] : i["r_base"] + 192]]
    constants = [i[name] for name in ("multiplier", "shift", "epsilon", "zero_point")]
    y = norm(torch.tensor(columns, dtype=torch.int16).T, config.norm, *constants, centred=bool(centred))
    bench = Bench(config, memory).run([i])
    words = [unpack(bench.x[i["x_base"] + w], 8, 32, signed=True) for w in range(48)]
    assert [[words[k // 4][lane * 4 + k % 4] for k in range(192)] for lane in range(8)] == y.tolist()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (8, 4), pytest.param(8, 8, marks=pytest.mark.slow)])
def test_cycles_without_stalls(lanes: int, depth: int, variant: str) -> None:
    """The figures of RowUnit's docstring."""
    config, rng = configuration(variant, lanes, depth), random.Random(7)
    shapes = [(c, t, centred) for c, t in [(48, 1), (48, 2), (96, 1), (48, 5), (16, 2)] for centred in (0, 1)]
    program = [
        make_norm(rng, channels=channels, row_tiles=tiles, centred=centred)
        for channels, tiles, centred in shapes
    ]
    program.append(make_pool(rng, lanes, channels=50, tokens=5 * lanes))
    bench = Bench(config, random_memory(rng, lanes, 1000)).run(program)
    took = [done - taken for done, taken in zip(bench.done, bench.taken, strict=True)]
    cycles = row_cycles(config)
    expected = []
    for channels, tiles, centred in shapes:
        tile = 2 * channels + cycles.scale
        if variant == "two_pass" and centred:
            tile += channels + cycles.mean
        expected.append(tiles * tile + cycles.norm)
    assert took[:-1] == expected
    assert took[-1] == 50 * 5 + cycles.pool


def test_a_short_row_waits_for_the_division() -> None:
    """Channels 1 of two_pass: the second pass of the first tile begins when the reciprocal of D is there."""
    config, rng = configuration("two_pass", 4, 1), random.Random(7)
    program = [make_norm(rng, channels=1, row_tiles=tiles, centred=1) for tiles in (1, 2, 1)]
    bench = Bench(config, random_memory(rng, 4, 100)).run(program)
    cycles = row_cycles(config)
    tile, wait = 3 + cycles.scale + cycles.mean, cycles.mean_after_check - cycles.mean - 2
    assert wait > 0
    took = [done - taken for done, taken in zip(bench.done, bench.taken, strict=True)]
    assert took == [tiles * tile + wait + cycles.norm for tiles in (1, 2, 1)]


ILLEGAL = [
    (Opcode.NORM, {"channels": 0}),
    (Opcode.NORM, {"channels": 4097}),
    (Opcode.NORM, {"row_tiles": 0}),
    (Opcode.NORM, {"multiplier": 0}),
    (Opcode.NORM, {"shift": 0}),
    (Opcode.NORM, {"epsilon": 0}),
    (Opcode.POOL, {"channels": 0}),
    (Opcode.POOL, {"row_tiles": 0}),
    (Opcode.POOL, {"multiplier": 0}),
    (Opcode.POOL, {"shift": 0}),
    (Opcode.POOL, {"tokens": 0}),
    (Opcode.POOL, {"tokens": 4}),
    (Opcode.POOL, {"tokens": 9}),
    (Opcode.POOL, {"tokens": 4097, "row_tiles": 1025}),
]


@pytest.mark.parametrize(("opcode", "fields"), ILLEGAL)
def test_illegal_fields(opcode: Opcode, fields: dict[str, int]) -> None:
    config, rng = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=1)), random.Random(8)
    good = make_norm(rng, channels=3, row_tiles=1)
    if opcode is Opcode.NORM:
        bad = make_norm(rng, **{"channels": 5, "row_tiles": 2, **fields})
    else:
        bad = make_pool(rng, 4, **{"channels": 5, "tokens": 8, "row_tiles": 2, **fields})
    bench = Bench(config, random_memory(rng, 4, 1000)).run([good, bad, good])
    assert bench.error is not None
    assert bench.error[:2] == (ErrorCode.ILLEGAL_FIELD, 101)
    assert len(bench.done) == 1
    assert len(bench.log) == 3
    assert not bench.busy[-1]


@pytest.mark.slow
def test_the_largest_legal_fields_are_accepted() -> None:
    rng = random.Random(9)
    memory = []
    for channel in range(4096):  # the largest sums, squares and deviations that there are
        lanes = (-32768, 32767, -32768 if channel % 2 else 32767, rng.randrange(-32768, -32700))
        memory.append(pack(lanes, 16))
    for variant in VARIANTS:
        program = [
            make_norm(rng, channels=4096, row_tiles=1, r_base=0, centred=centred, shift=6)
            for centred in (0, 1)
        ]
        check(Bench(configuration(variant, 4, 8), memory), program, limit=30000)


@pytest.mark.parametrize("stalls", ["none", "random"])
@pytest.mark.parametrize(
    ("opcode", "fields", "writes"),
    [
        (Opcode.NORM, {"r_base": 1000 - 19}, 0),  # the last channel
        (Opcode.NORM, {"r_base": 1000 - 45, "r_stride": 26}, 10),  # the last channel of the second tile
        (Opcode.NORM, {"r_base": 0, "r_stride": 0xFFFF}, 10),
        (Opcode.NORM, {"x_base": 500 - 15, "x_stride": 10}, 15),
        (Opcode.NORM, {"x_base": 0xFFFF}, 0),
        (Opcode.POOL, {"r_base": 1000 - 45, "r_stride": 26}, None),
        (Opcode.POOL, {"o_base": 1000 - 7}, 7),
    ],
)
def test_addresses_beyond_the_end(
    opcode: Opcode, fields: dict[str, int], writes: int | None, stalls: str
) -> None:
    config, rng = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=2)), random.Random(10)
    if opcode is Opcode.NORM:
        bad = make_norm(rng, channels=20, row_tiles=2, **{"x_base": 0, **fields})
    else:
        bad = make_pool(rng, 4, channels=20, tokens=8, **fields)
    bench = Bench(
        config, random_memory(rng, 4, 1000), x_depth=500, read_stall=stalls, write_stall=stalls
    ).run([bad])
    assert bench.error is not None
    assert bench.error[:2] == (ErrorCode.ADDRESS, 100)
    assert not bench.done
    assert all(cycle < bench.error[2] for cycle, _, _ in bench.log)
    assert writes is None or len(bench.log) <= writes
    if "x_base" in fields or "o_base" in fields:
        assert len(bench.log) == writes


@pytest.mark.parametrize("halt_at", [1, 3, 30, 60, 75, 80, 90, 100])
def test_halt(halt_at: int) -> None:
    config, rng = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=2)), random.Random(11)
    program = [make_norm(rng, channels=20, row_tiles=2), make_pool(rng, 4, channels=9, tokens=7)]
    bench = Bench(config, random_memory(rng, 4, 1000), halt_at=halt_at, write_stall="random").run(program)
    assert all(cycle < halt_at for cycle, _, _ in bench.log)
    assert all(cycle < halt_at for cycle in bench.done)
    assert not any(bench.busy[halt_at:])
    assert bench.error is None
