"""The operand sequencer alone: the sequence of words, its spacing, lane parameters, the limit on instructions in
flight."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from tests.support.hw.matrix_programs import matmul, random_matmul, small
from vitreous.hw.matrix.operand_sequencer import OperandSequencer
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Instruction, Memory, Operands, Scale

READOUT_LATENCY = 7
TILE = ("instruction_first", "row_first", "instruction_last", "plane")


@dataclass
class Seen:
    """(cycle, fields) of each word and (cycle, address, lane, pc) of each parameter; cycles of starts; the error."""

    words: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    parameters: list[tuple[int, int, int]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    error: tuple[int, int] | None = None
    busy: bool = False


def feed(
    config: AcceleratorConfig,
    program: list[Instruction],
    *,
    in_flight: int = 16,
    retire_after: int | None = 1,
    cycles: int = 4000,
    seed: int | None = None,
) -> Seen:
    """Runs until no word came for 60 cycles; instructions retire ``retire_after`` cycles after their start or never.

    ``seed`` : offers commands with random pauses.
    """
    unit, seen, rng = (
        OperandSequencer(config, readout_latency=READOUT_LATENCY, in_flight=in_flight),
        Seen(),
        np.random.default_rng(seed),
    )

    async def bench(ctx: Any) -> None:
        begun = 0  # instructions whose words have begun
        pending, offered, quiet = list(enumerate(program)), False, 0
        for cycle in range(cycles):
            offered = bool(pending) and (offered or seed is None or bool(rng.integers(4) == 0))
            ctx.set(unit.i.valid, offered)
            if offered:
                word = int.from_bytes(pending[0][1].encode(), "little")
                ctx.set(unit.i.payload, {"pc": pending[0][0], "word": word})
            ctx.set(unit.retire, retire_after is not None and cycle - retire_after in seen.starts)
            quiet += 1
            if ctx.get(unit.start):
                seen.starts.append(cycle)
            if ctx.get(unit.word_valid):
                names = ("first", "last", "operands", "slot", "a_addr", "b_addr")
                word_fields = {name: ctx.get(getattr(unit.word, name)) for name in names}
                tile = {name: ctx.get(Value.cast(getattr(unit.word.tile, name))) for name in TILE}
                begun += tile["instruction_first"] and word_fields["first"]
                seen.words.append((cycle, {**word_fields, **tile, "pc": begun - 1}))
                quiet = 0
            if ctx.get(unit.p_valid):
                seen.parameters.append((cycle, ctx.get(unit.p_addr), ctx.get(unit.p_lane)))
            if ctx.get(unit.error.valid):
                seen.error = (ctx.get(unit.error.code), ctx.get(unit.error.pc))
            if offered and ctx.get(unit.i.ready):
                del pending[0]
                offered = False
            if quiet > 60:
                break
            await ctx.tick()
        seen.busy = bool(ctx.get(unit.busy))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def expected_words(config: AcceleratorConfig, program: list[Instruction]) -> list[dict[str, int]]:
    words = []
    for pc, i in enumerate(program):
        tiles = -(-i["columns"] // config.array.lanes)
        a_base = 0 if i["operands"] == Operands.SW else i["a_base"]
        for r in range(i["row_tiles"]):
            for c in range(tiles):
                for plane, k in itertools.product((1, 2) if i["extra_planes"] else (0,), range(i["k_words"])):
                    words.append(
                        {
                            "first": int(k == 0),
                            "last": int(k == i["k_words"] - 1),
                            "operands": i["operands"],
                            "slot": i["slot"],
                            "a_addr": a_base + r * i["a_stride"] + k,
                            "b_addr": i["b_base"] + c * i["b_stride"] + k,
                            "pc": pc,
                            "instruction_first": int(r == c == 0 and plane != 2),
                            "row_first": int(c == 0 and plane != 2),
                            "instruction_last": int(r == i["row_tiles"] - 1 and c == tiles - 1),
                            "plane": plane,
                        }
                    )
    return words


def random_programs(config: AcceleratorConfig, count: int, seed: int) -> list[Instruction]:
    rng = np.random.default_rng(seed)
    kinds = [(d, o) for d in (0, 1, 2, 4) for o in (0, 1, 2) if (d, o) != (4, 2)]
    chosen = [kinds[n] for n in rng.integers(len(kinds), size=count)]
    return [random_matmul(config, rng, destination=Memory(d), operands=Operands(o)) for d, o in chosen]


@pytest.mark.parametrize("pauses", [None, 1])
@pytest.mark.parametrize(("lanes", "depth"), [(4, 2), (8, 1)])
def test_words_spacing_and_parameters(lanes: int, depth: int, pauses: int | None) -> None:
    config = small(lanes, depth)
    program = random_programs(config, 30, seed=lanes)
    seen = feed(config, program, seed=pauses)
    assert [word for _, word in seen.words] == expected_words(config, program)
    ends = [cycle for cycle, word in seen.words if word["last"]]
    assert min(np.diff(ends)) == lanes
    lane_rows = [(i, r) for i in program if i["scale"] == Scale.LANE for r in range(i["row_tiles"])]
    wanted = [(i["p_base"] + r * lanes + n, n) for i, r in lane_rows for n in range(lanes)]
    assert [p[1:] for p in seen.parameters] == wanted
    for cycle, *_ in seen.parameters:
        before = [end for end in ends if end < cycle]
        # Column N - 1 of the tile before has its parameters in the cycle before at the latest.
        assert not before or cycle >= before[-1] + READOUT_LATENCY + lanes
    assert not seen.busy


@pytest.mark.parametrize("variant", ["base2", "ibert"])
def test_score_rows_end_far_enough_apart(variant: str) -> None:
    """The last columns of two score rows are N cycles apart, even if one ends its tile and one begins its own; and
    further where the first one goes through its row again."""
    config = small(4, 2, variant=variant)
    columns = [4, 1, 1, 8, 5, 3, 2, 4, 4, 1]
    program = [matmul(destination=Memory.S, columns=n, k_words=1 + n % 3, slot=n % 2) for n in columns]
    ends = [(c, w["pc"]) for c, w in feed(config, program).words if w["last"] and w["instruction_last"]]
    last_columns = [cycle + (columns[pc] - 1) % 4 for cycle, pc in ends]
    assert len(last_columns) == len(columns)
    again = columns if variant == "ibert" else [0] * len(columns)
    assert min(np.diff(last_columns) - again[:-1]) >= 4
    # Not later than needed by more than the columns of two tiles.
    assert max(np.diff(last_columns) - again[:-1]) <= 8 + 3


def test_in_flight_limit() -> None:
    config = small(4, 2)
    seen = feed(config, [matmul() for _ in range(9)], in_flight=4, retire_after=None)
    assert len(seen.starts) == 4
    assert seen.busy
    late = feed(config, [matmul() for _ in range(9)], in_flight=4, retire_after=50)
    assert len(late.starts) == 9
    assert all(late.starts[n + 4] > late.starts[n] + 50 for n in range(5))


def test_an_illegal_instruction_waits_for_the_ones_before() -> None:
    config = small(4, 2)
    program = [matmul(), matmul(k_words=0), matmul()]
    assert feed(config, program, retire_after=None).error is None
    seen = feed(config, program)
    assert seen.error == (ErrorCode.ILLEGAL_FIELD, 1)
    assert len(seen.starts) == 1
