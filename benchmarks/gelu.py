"""``python -m benchmarks.gelu FILE``: error and cost of GELU's variants, as the table of docs/results/gelu.md.

Error: against ``x * Phi(x)`` in float64 over all 2**16 inputs. Rounded: the share of inputs whose 8-bit result
``clamp(floor(y / scale + 1/2))`` is that of the exact function, for an output scale (zero point 0), over all inputs and
over ``|x| < 4``. Cost: one lane of ``synth_xilinx -family xcup``, the difference of 8 and 4 lanes.
"""

from __future__ import annotations

import argparse
import math
import random
from datetime import date
from pathlib import Path

import numpy as np
import torch

from vitreous.characterize.cost import per_lane
from vitreous.golden.activation.activation import activation
from vitreous.hw.activation.activation import SmoothActivation
from vitreous.hw.activation.delta import DeltaActivation
from vitreous.reports.synthesis.synthesis import tool
from vitreous.spec.config import ActivationConfig
from vitreous.spec.numbers import quantize_multiplier

MARK = "<!-- results -->"
PRECISE = ActivationConfig(range=4.25, fraction_bits=22)
EIGHT_BITS = ActivationConfig(range=4.0, fraction_bits=12)
SETTINGS = {
    "`delta`, for 16 bits and more": PRECISE,
    "`delta`, default": ActivationConfig(),
    "`delta`, for 8 bits": EIGHT_BITS,
    "`delta`, for 8 bits, no DSP": ActivationConfig(
        step_bits=7, range=4.0, fraction_bits=12, interpolate=False
    ),
    "`poly`": ActivationConfig(variant="poly"),
    "`shift`": ActivationConfig(variant="shift"),
    "`table`": ActivationConfig(variant="table", range=4.0, fraction_bits=10),
}
SCALES = (1 / 16, 1 / 32, 1 / 40)
"""1/32 reaches from -4 to 3.97."""
X = np.arange(-(1 << 15), 1 << 15)
NEAR = np.abs(X) < 4096


def random_scales(count: int = 20, seed: int = 0) -> list[float]:
    """Output scales that are not round numbers, between 1/64 and 1/12."""
    rng = random.Random(seed)
    return [rng.uniform(1 / 64, 1 / 12) for _ in range(count)]


def truth() -> np.ndarray:
    """``x * Phi(x)`` for all inputs; ``erfc`` keeps it exact far below 0."""
    return np.array([x / 2 * math.erfc(-x / math.sqrt(2)) for x in (X / 1024).tolist()])


def errors(config: ActivationConfig) -> np.ndarray:
    """``y - x * Phi(x)`` for all inputs."""
    y: np.ndarray = activation(torch.from_numpy(X), config).numpy()
    return y / 2**config.fraction_bits - truth()


def correctly_rounded(config: ActivationConfig, scale: float) -> tuple[float, float]:
    """Shares of all inputs and of ``|x| < 4`` whose 8-bit result, requantized as the machine does, is the exact one."""
    y = activation(torch.from_numpy(X), config).numpy().astype(np.int64)
    m, s = quantize_multiplier(1 / (scale * 2**config.fraction_bits))
    got = np.clip((y * m + (1 << (s - 1))) >> s, -128, 127)
    right = got == np.clip(np.floor(truth() / scale + 0.5), -128, 127)
    return float(right.mean()), float(right[NEAR].mean())


def row(name: str, config: ActivationConfig) -> str:
    """One line of the table."""
    error = np.abs(errors(config))
    shares = [correctly_rounded(config, scale) for scale in SCALES]
    drawn = [correctly_rounded(config, scale) for scale in random_scales()]
    shares.append((min(a for a, _ in drawn), min(b for _, b in drawn)))
    cost = per_lane(lambda lanes: SmoothActivation(config, lanes=lanes), "gelu", "xcup")
    numbers = f"{config.fraction_bits}"
    if config.variant in ("delta", "table"):
        numbers = f"1/{1 << config.step_bits}, {config.range:g}, {numbers}"
    table = f"{DeltaActivation.table_bits(config):,}" if config.variant == "delta" else "-"
    cells = [name, numbers, table, f"{error.max():.1e}", f"{error[NEAR].mean():.1e}"]
    cells += [f"{100 * a:.2f} / {100 * b:.2f}" for a, b in shares]
    cells += [
        f"{SmoothActivation.latency(config)}",
        *(f"{cost.lane[c]:g}" for c in ("lut", "ff", "dsp", "bram")),
    ]
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """The table of docs/results/gelu.md with what it was measured by."""
    head = ["setting", "step, range, fraction bits", "table bits", "max error", "mean error in +-4"]
    head += [f"% rounded, 1/{round(1 / scale)}" for scale in SCALES] + ["worst of 20 random"]
    head += ["latency", "LUT", "FF", "DSP", "BRAM18"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    lines += [row(name, config) for name, config in SETTINGS.items()]
    return "\n".join(
        [f"{date.today()}, {tool()}, `python -m benchmarks.gelu docs/results/gelu.md`.", "", *lines]
    )


def main() -> None:
    """Replace what is between the two marks of a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gelu", description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path, metavar="FILE")
    page: Path = parser.parse_args().page
    before, _, rest = page.read_text().partition(MARK)
    page.write_text(f"{before}{MARK}\n{table()}\n{MARK}{rest.partition(MARK)[2]}")


if __name__ == "__main__":
    main()
