import random

import pytest

from tests.support.hw.columns import pack, run_pipeline, unpack
from vitreous.hw.arith.requantize import Requantize, Saturation
from vitreous.spec import numbers

RESULT_BITS = max(numbers.INT16.width, numbers.SCORE.width)
FORMATS = {Saturation.INT8: numbers.INT8, Saturation.INT16: numbers.INT16, Saturation.SCORE: numbers.SCORE}
ACC_CORNERS = [0, 1, -1, 127, -128, 32767, -32768, (1 << 31) - 1, -(1 << 31), 178481, -(1 << 30), 0x55555555]
MULTIPLIERS = [1, 2, 47, 16384, 16385, 32767]


def corners() -> list[tuple[int, int, int]]:
    return [(a, m, s) for a in ACC_CORNERS for m in MULTIPLIERS for s in range(1, 48)]


def halves(rng: random.Random) -> tuple[int, int, int]:
    """Products that lie exactly on a half, or one beside it, and near the ends of a range."""
    shift = rng.randrange(1, 30)
    target = rng.choice(
        [
            0,
            3,
            -3,
            *(
                end + side
                for fmt in FORMATS.values()
                for end in (fmt.minimum, fmt.maximum)
                for side in (-1, 0, 1)
            ),
        ]
    )
    acc = (target << shift) + rng.choice([-1, 0, 1]) + rng.choice([1, -1]) * (1 << (shift - 1))
    return max(-(1 << 31), min((1 << 31) - 1, acc)), 1, shift


def anywhere(rng: random.Random) -> tuple[int, int, int]:
    acc = rng.getrandbits(rng.randrange(1, 32)) * rng.choice([1, -1])
    return acc, rng.randrange(1, 1 << 15), rng.randrange(1, 48)


def test_equals_the_definition_on_corners_and_random_values() -> None:
    # The case "Requantize" of campaigns.vectors has millions of vectors of these kinds in compiled RTL.
    rng, lanes = random.Random(1), 32
    vectors = corners() + [halves(rng) for _ in range(600)] + [anywhere(rng) for _ in range(600)]
    vectors += [(0, 1, 1)] * (-len(vectors) % lanes)
    columns = [vectors[i : i + lanes] for i in range(0, len(vectors), lanes)]
    modes = [(rng.choice(list(Saturation)), rng.choice([0, 0, 1, -1, 127, -128, 37])) for _ in columns]
    inputs = [
        {
            "acc": pack((a for a, _, _ in column), 32),
            "multiplier": pack((m for _, m, _ in column), 15),
            "shift": pack((s for _, _, s in column), 6),
            "saturation": int(saturation),
            "zero_point": zero_point,
        }
        for column, (saturation, zero_point) in zip(columns, modes, strict=True)
    ]
    dut = Requantize(lanes=lanes, width=32)
    seen = run_pipeline(dut, inputs, ["o"], cycles=len(inputs) + dut.LATENCY)
    for t, (column, (saturation, zero_point)) in enumerate(zip(columns, modes, strict=True)):
        expected = [numbers.requantize(a, m, s, zero_point, FORMATS[saturation]) for a, m, s in column]
        assert unpack(seen[t + dut.LATENCY]["o"], RESULT_BITS, lanes, signed=True) == expected


def test_every_saturation_is_reached_from_both_sides() -> None:
    for saturation, fmt in FORMATS.items():
        values = [fmt.minimum - 1, fmt.minimum, fmt.maximum, fmt.maximum + 1]
        dut = Requantize(lanes=4, width=20)
        inputs = [
            {
                "acc": pack(values, 20),
                "multiplier": pack([2] * 4, 15),
                "shift": pack([1] * 4, 6),
                "saturation": int(saturation),
            }
        ]
        seen = run_pipeline(dut, inputs, ["o"], cycles=dut.LATENCY + 1)
        assert unpack(seen[-1]["o"], RESULT_BITS, 4, signed=True) == [
            fmt.minimum,
            fmt.minimum,
            fmt.maximum,
            fmt.maximum,
        ]


def test_latency_is_measured() -> None:
    dut = Requantize(lanes=1, width=16)
    inputs = [{"acc": 0, "multiplier": 1, "shift": 1}] * 8 + [{"acc": 100}]
    seen = run_pipeline(dut, inputs, ["o"], cycles=20)
    assert next(t for t, s in enumerate(seen) if t >= 8 and s["o"] == 50) == 8 + dut.LATENCY


@pytest.mark.parametrize(
    ("lanes", "width", "sentence"),
    [(0, 32, "Lanes must be a positive integer, not 0"), (4, 15, "Width must be at least 16, not 15")],
)
def test_bad_parameters_are_refused(lanes: int, width: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        Requantize(lanes=lanes, width=width)
