import random

import pytest

from tests.support.hw.columns import pack, unpack
from tests.support.hw.norm_bench import Bench, check, configuration, make_norm, make_pool, random_memory
from tests.support.hw.norm_rows import VARIANTS
from vitreous.hw.vector.shifts import ChannelShifts
from vitreous.hw.vector.vector_unit import row_cycles
from vitreous.spec.config import AcceleratorConfig, ArrayConfig
from vitreous.spec.isa import ErrorCode, Opcode

SHAPES = [
    (4, 1),
    *(
        pytest.param(*shape, marks=pytest.mark.slow)
        for shape in ((4, 4), (4, 8), (8, 1), (8, 2), (8, 4), (8, 8))
    ),
]


@pytest.mark.alike(1)
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


SHIFT_STALLS = [
    "none/none/none",
    "mixed/none/mixed later",
    *(pytest.param(s, marks=pytest.mark.slow) for s in ("none/mixed/long", "random/regular/random")),
]


@pytest.mark.parametrize(
    ("lanes", "depth"), [(4, 4), *(pytest.param(*s, marks=pytest.mark.slow) for s in ((4, 1), (8, 2)))]
)
@pytest.mark.parametrize("stalls", SHIFT_STALLS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.slow
def test_shifted_channels(variant: str, lanes: int, depth: int, stalls: str) -> None:
    """Between norms without shifts and pools, whole and partial words of shifts, in one tile and in several."""
    config = configuration(variant, lanes, depth)
    rng = random.Random(f"{lanes} {depth} {stalls}")
    program = [make_norm(rng, channels=40, row_tiles=2), make_pool(rng, lanes, channels=5, tokens=lanes + 1)]
    for channels, tiles in ((1, 3), (31, 1), (32, 2), (33, 2), (64, 1), (70, 3), (129, 1)):
        base = rng.randrange(20)
        program.append(make_norm(rng, channels=channels, row_tiles=tiles, shifted=1, shift_base=base))
    rng.shuffle(program)
    memory, p = random_memory(rng, lanes, 1000), [rng.getrandbits(64) for _ in range(24)]
    read, write, shift = stalls.split("/")
    check(Bench(config, memory, p, read_stall=read, write_stall=write, shift_stall=shift, seed=3), program)


@pytest.mark.slow
def test_shifts_are_read_ahead() -> None:
    """A norm with shifts takes as long as one without, and so it does while P is free in one cycle of 30."""
    config = configuration("one_pass", 4, 4)
    took = {}
    for shifted in (0, 1):
        for stall in ("none", "rarely"):
            rng = random.Random(1)
            i = make_norm(rng, channels=100, row_tiles=3, shifted=shifted, shift_base=0)
            bench = Bench(config, random_memory(rng, 4, 500), [rng.getrandbits(64)] * 4, shift_stall=stall)
            check(bench, [i])
            took[shifted, stall] = bench.done[0] - bench.taken[0]
    assert set(took.values()) == {3 * (200 + row_cycles(config).scale) + row_cycles(config).norm}


def test_a_late_word_of_shifts_is_waited_for() -> None:
    config, rng = configuration("one_pass", 4, 4), random.Random(1)
    i = make_norm(rng, channels=40, row_tiles=1, shifted=1, shift_base=0)
    bench = Bench(config, random_memory(rng, 4, 500), [rng.getrandbits(64)] * 2, shift_stall="first 500")
    check(bench, [i])
    assert [cycle for cycle, _ in bench.shift_reads] == [500, 500 + ChannelShifts.LATENCY]


@pytest.mark.alike(1)
@pytest.mark.parametrize("centred", [1, 0])
@pytest.mark.parametrize("variant", VARIANTS)
def test_constant_rows_and_extremes(variant: str, centred: int) -> None:
    """Rows without variance, rows at the ends of int16, saturating outputs, shifts beyond 63."""
    config = configuration(variant, 4, 2)
    rng = random.Random(5)
    rows = [[-32768, 32767, 0, 5]] * 10 + [[-32768, -32768, 1, -1]] * 10 + [[32767, -32768, -32768, 32767]]
    memory = [pack(row, 16) for row in rows] + [0] * 1000
    check(
        Bench(config, memory, [rng.getrandbits(64)]),
        [
            make_norm(
                rng,
                channels=d,
                row_tiles=1,
                r_base=r,
                epsilon=e,
                shift=s,
                centred=centred,
                shifted=shifted,
                shift_base=0,
            )
            for shifted in (0, 1)
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
        rng,
        4,
        channels=1,
        tokens=4096,
        first=0,
        r_base=0,
        r_stride=1,
        o_base=1024,
        multiplier=16384,
        shift=14 + 12,
    )
    bench = Bench(config, largest)
    check(bench, [pool])
    assert bench.r[1024] == 0x8000


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_size_after_every_other(variant: str) -> None:
    """Shortest instructions one after another: nothing of one reaches the next, a division least of all."""
    config, rng = configuration(variant, 4, 1), random.Random(12)
    program = []
    for channels in (1, 3, 2, 1, 7, 1):
        program.append(make_norm(rng, channels=channels, row_tiles=rng.randrange(1, 3), centred=1))
        program.append(make_pool(rng, 4, channels=1, tokens=rng.randrange(1, 5)))
        program.append(make_norm(rng, channels=channels + 2, row_tiles=1, centred=rng.getrandbits(1)))
    memory = random_memory(rng, 4, 1000)
    check(Bench(config, memory), program)
    check(Bench(config, memory, read_stall="random", write_stall="random", seed=3), program)


@pytest.mark.alike(2)
@pytest.mark.parametrize("centred", [1, 0])
@pytest.mark.parametrize("variant", VARIANTS)
def test_norm_equals_golden(variant: str, centred: int) -> None:
    torch = pytest.importorskip("torch")
    from vitreous.golden.norm.constants import NormConstants
    from vitreous.golden.norm.norm import norm

    torch.set_num_threads(1)
    config, rng = configuration(variant, 8, 4), random.Random(6)
    i = make_norm(rng, channels=192, row_tiles=1, centred=centred, shifted=1, shift_base=2)
    p = [rng.getrandbits(64) for _ in range(8)]
    memory = random_memory(rng, 8, 300, 4000)
    columns = [unpack(word, 16, 8, signed=True) for word in memory[i["r_base"] : i["r_base"] + 192]]
    shifts = torch.tensor([p[2 + c // 32] >> 2 * (c % 32) & 3 for c in range(192)])
    constants = NormConstants(i["multiplier"], i["shift"], i["epsilon"], i["zero_point"], shifts)
    y = norm(torch.tensor(columns, dtype=torch.int16).T, config.norm, constants, centred=bool(centred))
    bench = Bench(config, memory, p).run([i])
    words = [unpack(bench.x[i["x_base"] + w], 8, 32, signed=True) for w in range(48)]
    assert [[words[k // 4][lane * 4 + k % 4] for k in range(192)] for lane in range(8)] == y.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (8, 4), (8, 8)])
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
    (Opcode.NORM, {"multiplier": (1 << 14) - 1}),
    (Opcode.NORM, {"shift": 0}),
    (Opcode.NORM, {"epsilon": 0}),
    (Opcode.POOL, {"channels": 0}),
    (Opcode.POOL, {"channels": 4097}),
    (Opcode.POOL, {"row_tiles": 0}),
    (Opcode.POOL, {"multiplier": 0}),
    (Opcode.POOL, {"shift": 0}),
    (Opcode.POOL, {"tokens": 0, "row_tiles": 1}),
    (Opcode.POOL, {"first": 4}),
    (Opcode.POOL, {"first": 2, "tokens": 2, "row_tiles": 1}),
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


@pytest.mark.parametrize("stalls", ["none", pytest.param("random", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("opcode", "fields", "writes"),
    [
        (Opcode.NORM, {"r_base": 1000 - 19}, 0),  # the last channel
        (Opcode.NORM, {"r_base": 1000 - 45, "r_stride": 26}, 10),  # the last channel of the second tile
        (Opcode.NORM, {"r_base": 0, "r_stride": 0xFFFF}, 10),
        (Opcode.NORM, {"x_base": 500 - 15, "x_stride": 10}, 15),
        (Opcode.NORM, {"x_base": 0xFFFF}, 0),
        (Opcode.NORM, {"shifted": 1, "shift_base": 30}, 0),
        (Opcode.NORM, {"shifted": 1, "shift_base": 29, "channels": 33, "row_tiles": 1}, None),
        (Opcode.NORM, {"shifted": 1, "shift_base": 0xFFFF}, 0),
        (Opcode.POOL, {"r_base": 1000 - 45, "r_stride": 26}, None),
        (Opcode.POOL, {"o_base": 1000 - 7}, 7),
    ],
)
def test_addresses_beyond_the_end(
    opcode: Opcode, fields: dict[str, int], writes: int | None, stalls: str
) -> None:
    config, rng = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=2)), random.Random(10)
    if opcode is Opcode.NORM:
        bad = make_norm(rng, **{"channels": 20, "row_tiles": 2, "x_base": 0, **fields})
    else:
        bad = make_pool(rng, 4, channels=20, tokens=8, **fields)
    bench = Bench(
        config, random_memory(rng, 4, 1000), [0] * 30, x_depth=500, read_stall=stalls, write_stall=stalls
    ).run([bad])
    assert bench.error is not None
    assert bench.error[:2] == (ErrorCode.ADDRESS, 100)
    assert not bench.done
    assert all(cycle < bench.error[2] for cycle, _, _ in bench.log)
    assert writes is None or len(bench.log) <= writes
    if "x_base" in fields or "o_base" in fields:
        assert len(bench.log) == writes


@pytest.mark.parametrize(
    "halt_at", [1, 30, 75, 90, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 60, 80, 100))]
)
def test_halt(halt_at: int) -> None:
    config, rng = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=2)), random.Random(11)
    program = [
        make_norm(rng, channels=20, row_tiles=2, shifted=1, shift_base=0),
        make_pool(rng, 4, channels=9, tokens=7),
    ]
    bench = Bench(
        config, random_memory(rng, 4, 1000), [0], halt_at=halt_at, write_stall="random", shift_stall="regular"
    ).run(program)
    assert all(cycle < halt_at for cycle, _, _ in bench.log)
    assert all(cycle < halt_at for cycle, _ in bench.shift_reads)
    assert all(cycle < halt_at for cycle in bench.done)
    assert not any(bench.busy[halt_at:])
    assert bench.error is None
