from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.golden.scalar import norm_row
from vitreous.golden import GoldenError
from vitreous.golden.arith.rsqrt import reciprocal_root
from vitreous.golden.norm.constants import NormConstants
from vitreous.golden.norm.norm import VARIANTS
from vitreous.golden.norm.two_pass import centre
from vitreous.golden.ops.layernorm import layernorm
from vitreous.golden.ops.rmsnorm import rmsnorm
from vitreous.spec.config import NormConfig
from vitreous.spec.numbers import quantize_multiplier
from vitreous.spec.variants import EXACT

STEP = 4 / 127
FUNCTIONS = {True: layernorm, False: rmsnorm}
EVERY_VARIANT = [*VARIANTS, EXACT]


def constants(variant: str, channels: int) -> tuple[int, int]:
    return quantize_multiplier((1 if variant == "one_pass" else np.sqrt(channels)) / STEP)


def real_norm(x: torch.Tensor, epsilon: float, centred: bool) -> torch.Tensor:
    wide = x.double()
    mean = wide.mean(dim=-1, keepdim=True) if centred else torch.zeros_like(wide[..., :1])
    square = ((wide - mean) ** 2).mean(dim=-1, keepdim=True)
    return (wide - mean) / (square + epsilon).sqrt() / STEP


@pytest.mark.parametrize("variant", EVERY_VARIANT)
@pytest.mark.parametrize("centred", [True, False])
def test_error_against_float64(variant: str, centred: bool) -> None:
    for channels in (1, 2, 3, 16, 64, 192, 384, 4096):
        for spread in (3, 50, 2000, 20000):
            error, bound = error_and_bound(variant, centred, channels, spread)
            assert (error <= bound).all(), (channels, spread)


def error_and_bound(
    variant: str, centred: bool, channels: int, spread: int
) -> tuple[torch.Tensor, torch.Tensor | float]:
    """Of 200 rows, in steps of the result."""
    rng = np.random.default_rng(channels + spread)
    x = np.clip(np.rint(rng.normal(spread / 2, spread, (200, channels))), -32768, 32767).astype(np.int16)
    tensor = torch.from_numpy(x)
    epsilon = 1 / channels**2 if variant == "one_pass" else 1 / (256 * channels)
    real = real_norm(tensor, epsilon, centred)
    h = torch.from_numpy(rng.integers(0, 4, channels).astype(np.uint8))
    real = (real * 0.5 ** h.double()).clamp(-128, 127)
    given = NormConstants(*constants(variant, channels), 1, 0, h)
    y = FUNCTIONS[centred](tensor, NormConfig(variant=variant), given)
    assert y.dtype == torch.int8
    error = (y.double() - real).abs()
    # Half a step from rounding, once, in shifted channels too.
    # 2e-4 relative from the root (test below), 6e-5 from each of the two 15-bit factors.
    bound: torch.Tensor | float = 0.5 + 4e-4 * 128
    if variant == "two_pass" and centred:
        # The mean of int16 has 4 fraction bits and a relative error of 2**-13: both against the row's own spread.
        mean = tensor.double().mean(dim=-1, keepdim=True)
        sigma = ((tensor.double() - mean) ** 2).mean(dim=-1, keepdim=True).add(epsilon).sqrt()
        bound = bound + (1 / 32 + mean.abs() * 2**-13) / sigma / STEP * 1.1
    return error, bound


def test_root_over_its_whole_range() -> None:
    mantissas = np.arange(1 << 16, 1 << 18)
    for e in (0, 2, 14, 16, 18, 36, 52):
        values = mantissas << (e - 16) if e >= 16 else np.unique(mantissas >> (16 - e))
        values = values[values >= 1]
        root, exponent = reciprocal_root(torch.from_numpy(values))
        assert (exponent % 2 == 0).all()
        real = 1 / np.sqrt(values.astype(np.float64))
        found = root.double().numpy() / 2.0 ** (16 + exponent.numpy() / 2)
        assert np.abs(found / real - 1).max() < 2e-4


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 5, 16, 100, 4096])
def test_rows_against_the_definition(variant: str, centred: bool, channels: int) -> None:
    rng = np.random.default_rng(channels)
    rows = [
        np.zeros(channels), np.full(channels, 32767), np.full(channels, -32768),
        np.where(np.arange(channels) % 2, 32767, -32768), np.arange(channels) % 3,
        *(rng.normal(rng.uniform(-9000, 9000), 10 ** rng.uniform(0, 4), channels) for _ in range(40)),
    ]  # fmt: skip
    x = np.clip(np.rint(np.stack(rows)), -32768, 32767).astype(np.int16)
    config = NormConfig(variant=variant)
    shifts = rng.integers(0, 4, channels).astype(np.uint8)
    for m, s, epsilon, zero_point in (
        (*constants(variant, channels), 1, 0),
        (1 << 14, 12, (1 << 32) - 1, 5),
        ((1 << 15) - 1, 8, 77777, -128),
    ):
        given = NormConstants(m, s, epsilon, zero_point, torch.from_numpy(shifts))
        y = FUNCTIONS[centred](torch.from_numpy(x), config, given)
        for row, values in zip(x, y.tolist(), strict=True):
            ints = [int(v) for v in row]
            wanted = norm_row(ints, variant, m, s, epsilon, zero_point, shifts.tolist(), centred=centred)
            assert values == wanted


def test_the_widths_that_two_pass_states() -> None:
    """``u`` has 21 bits and ``V`` 53 for the rows that make them largest."""
    x = torch.full((3, 4096), 32767, dtype=torch.int64)
    x[0, :2048] = -32768
    x[1, 1:] = -32768
    x[2, :] = -32768
    for centred in (True, False):
        u, variance = centre(x, (1 << 32) - 1, centred)
        assert u.min() >= -(1 << 20)
        assert u.max() < 1 << 20
        assert variance.max() < 1 << 53


@pytest.mark.parametrize("variant", EVERY_VARIANT)
def test_a_constant_row_gives_the_zero_point(variant: str) -> None:
    config = NormConfig(variant=variant)
    for channels in (1, 64, 4096):
        m, s = constants(variant, channels)
        x = torch.zeros(1, channels, dtype=torch.int16)
        given = NormConstants(m, s, 1, 9, torch.arange(channels) % 4)
        assert (rmsnorm(x, config, given) == 9).all()
        if variant == "two_pass":
            continue  # its mean is rounded: a constant row leaves what that drops
        assert (layernorm(x + 31000, config, given) == 9).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("channels", "m", "s", "epsilon", "sentence"),
    [
        (4097, 20000, 10, 1, "A norm takes 1 to 4096 channels, not 4097"),
        (0, 20000, 10, 1, "A norm takes 1 to 4096 channels, not 0"),
        (8, 100, 10, 1, r"A norm needs 2\*\*14 <= multiplier < 2\*\*15, not 100"),
        (8, 1 << 15, 10, 1, r"A norm needs 2\*\*14 <= multiplier < 2\*\*15, not 32768"),
        (8, 20000, 10, 0, r"A norm needs 1 <= epsilon < 2\*\*32, not 0"),
        (8, 20000, 10, 1 << 32, r"A norm needs 1 <= epsilon < 2\*\*32, not 4294967296"),
        (8, 20000, 47, 1, "A row of a norm needs a shift outside 1..47"),
    ],
)
def test_outside_the_contract(
    variant: str, channels: int, m: int, s: int, epsilon: int, sentence: str
) -> None:
    x = torch.arange(channels).to(torch.int16)[None] * 7
    given = NormConstants(m, s, epsilon, 0, torch.zeros(channels, dtype=torch.uint8))
    with pytest.raises(GoldenError, match=sentence):
        layernorm(x, NormConfig(variant=variant), given)


@pytest.mark.parametrize("variant", EVERY_VARIANT)
@pytest.mark.parametrize("shifts", [[0, 0, 4], [0, -1, 0], [0, 0], [[0, 0, 0]]])
def test_shifts_outside_the_contract(variant: str, shifts: list[int]) -> None:
    x = torch.arange(3).to(torch.int16)[None] * 7
    with pytest.raises(GoldenError, match=r"A norm of 3 channels needs as many shifts in 0\.\.3"):
        layernorm(x, NormConfig(variant=variant), NormConstants(20000, 10, 1, 0, torch.tensor(shifts)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_longest_shift_of_a_channel(variant: str) -> None:
    """Rows may have a shift of 47, and their shifted channels 50."""
    x = torch.tensor([[7, -7, 32767, -32768]], dtype=torch.int16)
    m, epsilon = (1 << 15) - 1, 1
    for s in range(20, 47):
        given = NormConstants(m, s, epsilon, 5, torch.tensor([0, 1, 2, 3]))
        try:
            y = layernorm(x, NormConfig(variant=variant), given)
        except GoldenError:
            break
    assert (
        y.tolist() == [norm_row(x[0].tolist(), variant, m, s - 1, epsilon, 5, [0, 1, 2, 3])] == [[5, 5, 5, 5]]
    )
