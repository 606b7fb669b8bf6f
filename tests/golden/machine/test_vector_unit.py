"""NORM and POOL against rows computed one by one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.golden.scalar import norm_row
from vitreous.golden.machine import Machine, MachineError
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, NormConfig
from vitreous.spec.isa import Opcode, make
from vitreous.spec.numbers import INT16, requantize


def machine_of(lanes: int, depth: int, variant: str = "one_pass") -> Machine:
    config = AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=depth), norm=NormConfig(variant=variant))
    machine = Machine(config)
    machine.r[:] = np.random.default_rng(0).normal(100, 2000, machine.r.shape).astype(np.int16)
    machine.x[:] = 55
    return machine


NORM = {
    "r_base": 6,
    "r_stride": 73,
    "row_tiles": 2,
    "x_base": 40,
    "x_stride": 76,
    "epsilon": 12,
    "multiplier": 20000,
    "shift": 10,
    "zero_point": -4,
    "centred": 1,
    "shifted": 0,
    "shift_base": 0xFFFF,
}
POOL = {"r_base": 6, "r_stride": 30, "o_base": 500, "multiplier": 30000, "shift": 19, "first": 0}


@pytest.mark.parametrize(("lanes", "depth"), [(4, 4), (8, 1), (8, 4), (16, 8)])
@pytest.mark.parametrize("channels", [1, 27, 32, 70])
@pytest.mark.parametrize("variant", ["one_pass", "two_pass"])
@pytest.mark.parametrize("centred", [0, 1])
@pytest.mark.parametrize("shifted", [0, 1])
def test_norm_of_every_lane(
    lanes: int, depth: int, channels: int, variant: str, centred: int, shifted: int
) -> None:
    machine = machine_of(lanes, depth, variant)
    before = machine.r.copy()
    shifts = np.random.default_rng(channels).integers(0, 4, channels)
    machine.p[5:9] = 0xFFFF_FFFF_FFFF_FFFF
    for index in range(layout.ceil_div(channels, 32)):
        machine.p[6 + index] = sum(int(h) << 2 * k for k, h in enumerate(shifts[32 * index :][:32]))
    if not shifted:
        shifts[:] = 0  # P is not looked at, nor is the address
    fields = {"centred": centred, "shifted": shifted, "shift_base": 6 if shifted else 0xFFFF}
    machine.execute([make(Opcode.NORM, **{**NORM, **fields}, channels=channels)])
    per_row = layout.ceil_div(channels, depth)
    expected = np.full_like(machine.x, 55)
    for tile in range(2):
        rows = before[6 + 73 * tile : 6 + 73 * tile + channels].T
        constants = (variant, 20000, 10, 12, -4, shifts.tolist())
        values = [norm_row([int(v) for v in row], *constants, centred=bool(centred)) for row in rows]
        start = 40 + 76 * tile
        expected[start : start + per_row] = layout.pack_panel(np.array(values, np.int8), lanes, depth)[0]
    np.testing.assert_array_equal(machine.x, expected)
    np.testing.assert_array_equal(machine.r, before)


@pytest.mark.parametrize(
    ("first", "tokens"), [(0, 1), (0, 8), (0, 11), (0, 16), (1, 2), (1, 16), (7, 8), (5, 12)]
)
def test_pool_writes_lane_0_and_zeros(first: int, tokens: int) -> None:
    machine = machine_of(8, 4)
    expected = machine.r.copy()
    for d in range(5):
        total = sum(int(expected[6 + 30 * (t // 8) + d, t % 8]) for t in range(first, tokens))
        expected[500 + d] = 0
        expected[500 + d, 0] = requantize(total, 30000, 19, 0, INT16)
    machine.execute(
        [
            make(
                Opcode.POOL,
                **{**POOL, "first": first},
                channels=5,
                tokens=tokens,
                row_tiles=layout.ceil_div(tokens, 8),
            )
        ]
    )
    np.testing.assert_array_equal(machine.r, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"channels": 0},
        {"channels": 4097},
        {"row_tiles": 0},
        {"epsilon": 0},
        {"multiplier": 16383},
        {"shift": 0},
    ],
    ids=str,
)
def test_norm_refuses_illegal_fields(change: dict[str, int]) -> None:
    with pytest.raises(MachineError, match="ILLEGAL_FIELD: NORM"):
        machine_of(8, 4).execute([make(Opcode.NORM, **{**NORM, "channels": 9, **change})])


@pytest.mark.parametrize(
    "change",
    [
        {"channels": 0},
        {"channels": 4097},
        {"tokens": 0},
        {"tokens": 4097, "row_tiles": 513},
        {"tokens": 8},
        {"tokens": 17},
        {"first": 8},
        {"first": 3, "tokens": 3, "row_tiles": 1},
        {"multiplier": 0},
        {"shift": 0},
    ],
    ids=str,
)
def test_pool_refuses_illegal_fields(change: dict[str, int]) -> None:
    fields = {**POOL, "channels": 5, "tokens": 12, "row_tiles": 2}
    machine_of(8, 4).execute([make(Opcode.POOL, **fields)])
    with pytest.raises(MachineError, match="ILLEGAL_FIELD: POOL"):
        machine_of(8, 4).execute([make(Opcode.POOL, **{**fields, **change})])


@pytest.mark.parametrize(
    ("opcode", "change"),
    [
        (Opcode.NORM, {"r_base": 10230}),
        (Opcode.NORM, {"x_base": 8190}),
        (Opcode.NORM, {"shifted": 1, "shift_base": 4096}),
        (Opcode.NORM, {"shifted": 1, "shift_base": 4095, "channels": 33}),
        (Opcode.POOL, {"r_base": 10230}),
        (Opcode.POOL, {"o_base": 10236}),
    ],
    ids=str,
)
def test_addresses_beyond_the_end(opcode: Opcode, change: dict[str, int]) -> None:
    fields = (
        {**NORM, "channels": 9}
        if opcode is Opcode.NORM
        else {**POOL, "channels": 5, "tokens": 12, "row_tiles": 2}
    )
    with pytest.raises(MachineError, match="ADDRESS"):
        machine_of(8, 4).execute([make(opcode, **{**fields, **change})])
