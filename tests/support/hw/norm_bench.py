"""A vector unit between model memories, its programs and what they must leave (test_norm)."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from amaranth.sim import Simulator

from tests.support.hw.columns import pack, unpack
from tests.support.hw.norm_rows import norm_row
from vitreous.hw.vector.vector_unit import VectorUnit
from vitreous.spec import isa, numbers
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, NormConfig
from vitreous.spec.isa import Instruction, Opcode
from vitreous.spec.opcodes.norm import shift_words

Stall = Callable[[random.Random, int], bool]
STALLS: dict[str, Stall] = {
    "none": lambda rng, cycle: False,
    "regular": lambda rng, cycle: cycle % 3 == 0,
    "random": lambda rng, cycle: rng.random() < 0.4,
    "long": lambda rng, cycle: cycle % 60 < 35,
    "mixed": lambda rng, cycle: STALLS[("random", "none", "long", "regular")[cycle // 130 % 4]](rng, cycle),
    "rarely": lambda rng, cycle: cycle % 30 != 0,
    "first 500": lambda rng, cycle: cycle < 500,
    "mixed later": lambda rng, cycle: STALLS["mixed"](rng, cycle + 320),
}


@dataclass
class Bench:
    """A vector unit between model memories; ``r`` and ``p`` are raw words, ``log`` every write in order,
    ``shift_reads`` the cycle and address of every read of P."""

    config: AcceleratorConfig
    r: list[int]
    p: list[int] = field(default_factory=list)
    x_depth: int = 1 << 16
    read_stall: str = "none"
    write_stall: str = "none"
    shift_stall: str = "none"
    halt_at: int | None = None
    seed: int = 0
    x: dict[int, int] = field(default_factory=dict)
    log: list[tuple[int, str, int]] = field(default_factory=list)
    shift_reads: list[tuple[int, int]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    error: tuple[int, int, int] | None = None
    norm_columns: int = 0
    busy: list[bool] = field(default_factory=list)

    def run(self, program: list[Instruction], *, limit: int = 20000, extra: int = 40) -> "Bench":
        """Until every instruction is done or an error is up, then ``extra`` cycles more."""
        dut = VectorUnit(self.config)
        rng = random.Random(self.seed)

        async def bench(ctx: Any) -> None:
            pending, cycle, rest = list(enumerate(program, 100)), 0, extra
            while rest:
                taken = self._drive(ctx, dut, pending, rng, cycle)
                data = self._observe(ctx, dut, cycle)
                word = self._shifts(ctx, dut, cycle)
                await ctx.tick()
                if taken:
                    pending.pop(0)
                    self.taken.append(cycle)
                ctx.set(dut.r.data, rng.getrandbits(16 * self.config.array.lanes) if data is None else data)
                ctx.set(dut.p.data, rng.getrandbits(64) if word is None else word)
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

    def _drive(self, ctx: Any, dut: VectorUnit, pending: list[Any], rng: random.Random, cycle: int) -> bool:
        ctx.set(dut.halt, self._halted(cycle))
        ctx.set(dut.i.valid, bool(pending))
        if pending:
            pc, instruction = pending[0]
            ctx.set(dut.i.payload, {"pc": pc, "word": int.from_bytes(instruction.encode(), "little")})
        for port, stall, depth in (
            (dut.r, self.read_stall, len(self.r)),
            (dut.p, self.shift_stall, len(self.p)),
            (dut.ro, self.write_stall, len(self.r)),
            (dut.xo, self.write_stall, self.x_depth),
        ):
            ctx.set(port.ready, not STALLS[stall](rng, cycle))
            ctx.set(port.fault, ctx.get(port.valid) and ctx.get(port.addr) >= depth)
        return bool(pending) and bool(ctx.get(dut.i.ready))

    def _observe(self, ctx: Any, dut: VectorUnit, cycle: int) -> int | None:
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

    def _shifts(self, ctx: Any, dut: VectorUnit, cycle: int) -> int | None:
        """Record a read of P and return its word."""
        if not (ctx.get(dut.p.valid) and ctx.get(dut.p.ready)) or ctx.get(dut.p.fault):
            return None
        self.shift_reads.append((cycle, ctx.get(dut.p.addr)))
        return self.p[ctx.get(dut.p.addr)]


def configuration(variant: str, lanes: int, depth: int) -> AcceleratorConfig:
    return AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=depth), norm=NormConfig(variant=variant))


def random_memory(rng: random.Random, lanes: int, words: int, amplitude: int = 32768) -> list[int]:
    return [pack((rng.randrange(-amplitude, amplitude) for _ in range(lanes)), 16) for _ in range(words)]


def channel_shifts(i: Instruction, p: list[int]) -> list[int]:
    """Of the channels of a NORM."""
    if not i["shifted"]:
        return [0] * i["channels"]
    return [p[i["shift_base"] + c // 32] >> 2 * (c % 32) & 3 for c in range(i["channels"])]


def norm_words(i: Instruction, r: list[int], p: list[int], config: AcceleratorConfig) -> dict[int, int]:
    """NORM by docs/numerics.md and docs/machine.md: X address to word."""
    lanes, depth, d = config.array.lanes, config.array.depth, i["channels"]
    words = {}
    for tile in range(i["row_tiles"]):
        start = i["r_base"] + tile * i["r_stride"]
        columns = [unpack(word, 16, lanes, signed=True) for word in r[start : start + d]]
        constants = [i[name] for name in ("epsilon", "multiplier", "shift", "zero_point")]
        rows = [
            norm_row(config.norm.variant, x, *constants, channel_shifts(i, p), centred=bool(i["centred"]))
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
        values = [v for word in tiles for v in unpack(word, 16, lanes, signed=True)][i["first"] : i["tokens"]]
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
        "shifted": 0,
        "shift_base": 0xFFFF,
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
        "first": rng.choice([0, 0, rng.randrange(max(1, min(lanes, tokens)))]),
        "o_base": 900 + rng.randrange(20),
        "multiplier": rng.randrange(1 << 14, 1 << 15),
        "shift": 14 + tokens.bit_length() - rng.randrange(2),
    }
    return isa.make(Opcode.POOL, **{**values, **fields})


def check(bench: Bench, program: list[Instruction], *, limit: int = 20000) -> None:
    """Runs NORMs and POOLs and compares every word and the order of writes."""
    expected_x: dict[int, int] = {}
    expected_r, order, shift_reads = list(bench.r), [], []
    for i in program:
        if i.opcode is Opcode.NORM:
            words = norm_words(i, expected_r, bench.p, bench.config)
            shift_reads += [
                i["shift_base"] + w for _ in range(i["row_tiles"]) for w in range(shift_words(i.fields))
            ]
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
    assert [address for _, address in bench.shift_reads] == shift_reads
    assert bench.r == expected_r
    assert len(bench.done) == len(program)
    assert bench.error is None
    assert bench.norm_columns == sum(
        i["channels"] * i["row_tiles"] for i in program if i.opcode is Opcode.NORM
    )
    assert not any(bench.busy[bench.done[-1] + 1 :])
    assert bench.done[-1] == bench.log[-1][0] + 1
