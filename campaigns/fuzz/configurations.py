"""Small accelerators of every shape: a case takes some thousand cycles on them, and every memory is soon at its end."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.sim.small import accelerator
from vitreous.spec.config import AcceleratorConfig, ActivationConfig

CONFIGURATIONS: Mapping[str, AcceleratorConfig] = {
    "4x2": accelerator(4, 2, 64, "base2", queue=2, burst=4, reads=1, kib=1),
    "4x4": accelerator(
        4, 4, 256, "online", queue=4, burst=16, reads=4, kib=1,
        activation=ActivationConfig(variant="poly"), norm="two_pass",
    ),
    "8x4 packed": accelerator(8, 4, 64, "base2", queue=8, burst=16, reads=8, kib=2, multiplier="packed"),
    "ibert 128": accelerator(
        4, 1, 128, "ibert", queue=8, burst=8, reads=2, kib=1,
        multiplier="accumulate", fraction_bits=7, activation=ActivationConfig(variant="table"),
    ),
    "edge64": accelerator(4, 4, 64, "base2", queue=8, burst=16, reads=8, kib=1),
}  # fmt: skip
"""The last one is the preset ``edge64`` with memories of a few KiB."""
