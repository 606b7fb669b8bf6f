"""The vector bench: equal values pass, every wrong, missing or additional one is reported with its inputs."""

from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.sim.bench import vectors
from vitreous.sim.bench.vector_units import Copies
from vitreous.sim.bench.vectors import Block, VectorBench, VectorError, compare

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")]

ROWS, LANES = 3000, 3
Pair = data.StructLayout({"gain": signed(5), "quiet": 1})


class Scaler(wiring.Component):
    """``y = x * gain`` two cycles later, 0 where quiet; ``total`` the sum of x so far; ``wide`` inverted, at once."""

    def __init__(self, *, late: int = 0) -> None:
        self.late = late
        super().__init__(
            {
                "valid": In(1),
                "pair": In(Pair),
                "x": In(data.ArrayLayout(signed(12), LANES)),
                "wide": In(72),
                "o_valid": Out(1),
                "y": Out(data.ArrayLayout(signed(17), LANES)),
                "total": Out(40),
                "o_wide": Out(72),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid, pair = [self.valid], [self.pair]
        for stage in range(2 + self.late):
            valid.append(Signal(name=f"valid_{stage}"))
            pair.append(Signal(Pair, name=f"pair_{stage}"))
            m.d.sync += [valid[-1].eq(valid[-2]), pair[-1].eq(pair[-2])]
        total = Signal(40)
        m.d.sync += total.eq(total + self.x[0].as_unsigned())
        m.d.comb += [self.o_valid.eq(valid[-1]), self.total.eq(total), self.o_wide.eq(~self.wide)]
        for lane in range(LANES):
            x = [self.x[lane]]
            for stage in range(2):
                x.append(Signal(signed(12), name=f"x_{lane}_{stage}"))
                m.d.sync += x[-1].eq(x[-2])
            m.d.comb += self.y[lane].eq((x[2] * pair[2].gain) & ~pair[2].quiet.replicate(17).as_signed())
        return m


LATENCY = {"o_valid": 2, "y": 2, "total": 1, "o_wide": 0}


def data_of(rows: int = ROWS, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    valid, gain, quiet = rng.integers(0, 2, rows), rng.integers(-16, 16, rows), rng.integers(0, 2, rows)
    x, wide = rng.integers(-2048, 2048, (rows, LANES)), rng.integers(0, 256, (rows, 9))
    stimulus = {"valid": valid, "pair.gain": gain, "pair.quiet": quiet, "x": x, "wide": wide}
    expected = {
        "o_valid": valid,
        "y": x * (gain * (1 - quiet))[:, None],
        "total": np.cumsum(x[:, 0] & 0xFFF),
        "o_wide": 255 - wide,
    }
    return stimulus, expected


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> VectorBench:
    units = {"good": Scaler(), "late": Scaler(late=1), "twice": Copies(Scaler, count=2)}
    return VectorBench(units, name="test", root=tmp_path_factory.mktemp("vectors"))


def test_equal_values_pass_and_are_counted(bench: VectorBench) -> None:
    stimulus, expected = data_of()
    result = bench.compare("good", [Block(stimulus=stimulus, expected=expected)], latency=LATENCY)
    assert (result.mismatches, result.examples) == (0, ())
    assert result.vectors == ROWS * 9
    assert result.values == ROWS * (1 + LANES + 1 + 9)
    assert result.cycles == ROWS + 2
    assert bench.build().seconds > 0
    again = VectorBench(bench.units, name="test", root=bench.root).build()
    assert again.cached


def test_blocks_follow_without_gap_or_reset(bench: VectorBench) -> None:
    stimulus, expected = data_of()
    parts = [
        Block(
            stimulus={name: values[start:end] for name, values in stimulus.items()},
            expected={name: values[start:end] for name, values in expected.items()},
        )
        for start, end in ((0, 1), (1, 2), (2, 700), (700, ROWS))
    ]
    result = bench.compare("good", parts, latency=LATENCY)
    assert (result.mismatches, result.cycles) == (0, ROWS + 2)


@pytest.mark.parametrize(
    ("output", "row", "lane"), [("y", 0, 2), ("y", ROWS - 1, 0), ("total", 77, 0), ("o_wide", 5, 8)]
)
def test_a_wrong_value_is_reported_with_its_inputs(
    bench: VectorBench, output: str, row: int, lane: int
) -> None:
    stimulus, expected = data_of()
    true = int(expected[output].reshape(ROWS, -1)[row, lane])
    wrong = expected[output].reshape(ROWS, -1).copy()
    wrong[row, lane] ^= 1
    result = bench.compare(
        "good", [Block(stimulus=stimulus, expected={**expected, output: wrong})], latency=LATENCY
    )
    assert result.mismatches == 1
    example = result.examples[0]
    assert (example.row, example.output, example.lane) == (row, output, lane)
    assert (example.expected, example.actual) == (true ^ 1, true)
    assert example.inputs["pair.gain"] == stimulus["pair.gain"][row]
    if output == "y":
        assert example.inputs["x"] == stimulus["x"][row, lane]


def test_every_wrong_value_is_counted(bench: VectorBench) -> None:
    stimulus, expected = data_of()
    wrong = expected["y"].copy()
    wrong[10:20] += 1
    result = bench.compare(
        "good", [Block(stimulus=stimulus, expected={**expected, "y": wrong})], latency=LATENCY
    )
    assert (result.mismatches, len(result.examples)) == (10 * LANES, vectors.EXAMPLES)


def test_an_answer_at_another_time_is_noticed(bench: VectorBench) -> None:
    stimulus, expected = data_of()
    late = bench.compare("late", [Block(stimulus=stimulus, expected=expected)], latency=LATENCY)
    assert {example.output for example in late.examples} == {"o_valid"}
    assert late.mismatches > 400
    early = bench.compare(
        "good", [Block(stimulus=stimulus, expected=expected)], latency={**LATENCY, "total": 2}
    )
    assert early.mismatches > 400


def test_an_answer_after_the_last_vector_is_noticed(bench: VectorBench) -> None:
    """The unit answers one cycle too late: only idle cycles behind the last vector can show it."""
    stimulus, expected = data_of(8)
    for values in (stimulus["valid"], expected["o_valid"]):
        values[:] = 1
    busy = Block(stimulus=stimulus, expected=expected)
    idle = Block(
        stimulus={name: np.zeros_like(values)[:4] for name, values in stimulus.items()},
        expected={
            **{name: np.zeros_like(values)[:4] for name, values in expected.items()},
            "total": np.full(4, expected["total"][-1]),
            "o_wide": np.full((4, 9), 255),
        },
    )
    checks = {"o_valid": np.arange(8) > 0}  # the first answer is missing, nobody looks
    blocks = [Block(stimulus=busy.stimulus, expected=busy.expected, check=checks), idle]
    result = bench.compare("late", blocks, latency=LATENCY)
    assert [(e.row, e.output, e.expected, e.actual) for e in result.examples] == [(8, "o_valid", 0, 1)]
    assert bench.compare("good", blocks, latency=LATENCY).mismatches == 0


def test_only_what_is_asked_for_is_compared(bench: VectorBench) -> None:
    stimulus, expected = data_of()
    looked = np.arange(ROWS) % 3 == 0
    wrong = np.where(looked[:, None], expected["y"], 5)
    block = Block(stimulus=stimulus, expected={**expected, "y": wrong}, check={"y": looked})
    result = bench.compare("good", [block], latency=LATENCY)
    assert result.mismatches == 0
    assert result.values == ROWS * (1 + 1 + 9) + int(looked.sum()) * LANES
    fewer = {name: values for name, values in expected.items() if name != "total"}
    ignored = bench.compare(
        "good", [Block(stimulus=stimulus, expected=fewer)], latency=LATENCY, ignore=["total"]
    )
    assert ignored.values == ROWS * (1 + LANES + 9)


def test_copies_are_lanes(bench: VectorBench) -> None:
    pairs = [data_of(seed=seed) for seed in (1, 2)]
    joined = [
        {
            name: np.concatenate([p[which][name].reshape(ROWS, -1) for p in pairs], axis=1)
            for name in pairs[0][which]
        }
        for which in (0, 1)
    ]
    # A structure in an array is one number of all its bits.
    raw = [(s["pair.gain"] & 31) | s["pair.quiet"] << 5 for s, _ in pairs]
    stimulus = {k: v for k, v in joined[0].items() if "." not in k and k != "wide"}
    stimulus |= {"pair": np.stack(raw, axis=1), "wide": joined[0]["wide"]}
    result = bench.compare("twice", [Block(stimulus=stimulus, expected=joined[1])], latency=LATENCY)
    assert result.mismatches == 0


class Counter(wiring.Component):
    LATENCY = 1

    def __init__(self) -> None:
        super().__init__({"i": In(4), "o": Out(4)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.o.eq(self.i + 1)
        return m


def test_compare_builds_and_runs_one_unit(tmp_path: Path) -> None:
    i = np.arange(16)
    result = compare(Counter(), {"i": i}, {"o": (i + 1) % 16}, root=tmp_path)
    assert (result.vectors, result.mismatches) == (16, 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stimulus": {}}, r"The stimulus must name every member: missing \['i'\], unknown \[\]"),
        ({"expected": {"o": [1], "p": [1]}}, r"The expected values must name .* unknown \['p'\]"),
        ({"expected": {"o": [[1, 2]]}}, r"o must have shape \(1, 1\), not \(1, 2\)"),
        ({"stimulus": {"i": [16]}}, "i takes 0..15, not 16..16"),
        ({"expected": {"o": [-1]}}, "o takes 0..15, not -1..-1"),
        ({"check": {"o": [True, True]}}, r"check of o must have shape \(1,\), not \(2,\)"),
        ({"check": {"o": [False]}}, "No output is ever checked"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    change: dict[str, dict[str, list[int]]], sentence: str, tmp_path: Path
) -> None:
    given: dict[str, dict[str, list[int]]] = {"stimulus": {"i": [1]}, "expected": {"o": [2]}, "check": {}}
    arrays = {
        key: {name: np.array(values) for name, values in part.items()}
        for key, part in (given | change).items()
    }
    with pytest.raises(VectorError, match=f"^{sentence}$"):
        VectorBench({"unit": Counter()}, root=tmp_path).compare("unit", [Block(**arrays)])
    assert not list(tmp_path.glob("*/done.json")), "nothing was built for vectors that do not fit"


def test_units_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    class Stream(wiring.Component):
        def __init__(self) -> None:
            super().__init__({"i": In(stream.Signature(8)), "o": Out(1)})

    with pytest.raises(
        VectorError, match="^Member i is not a plain port; wrap the unit in one that has only ports$"
    ):
        VectorBench({"unit": Stream()}, root=tmp_path).compare("unit", [])
    with pytest.raises(VectorError, match="^There are no vectors$"):
        VectorBench({"unit": Counter()}, root=tmp_path).compare("unit", [])
    with pytest.raises(VectorError, match="^Scaler has no LATENCY; say the latency of each output$"):
        VectorBench({"unit": Scaler()}, root=tmp_path).compare("unit", [])


def test_a_bench_that_stops_early_is_noticed(bench: VectorBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report must account for every word and every check that were written."""
    stimulus, expected = data_of(50)
    run = vectors._simulate

    def cut(made: object, folder: Path, unit: int) -> None:
        file = folder / "vectors.bin"
        file.write_bytes(file.read_bytes()[:-1])
        run(made, folder, unit)  # type: ignore[arg-type]

    monkeypatch.setattr(vectors, "_simulate", cut)
    with pytest.raises(VectorError, match="^The bench took 51 words and .* bytes were left"):
        bench.compare("good", [Block(stimulus=stimulus, expected=expected)], latency=LATENCY)
