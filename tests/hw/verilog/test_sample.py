"""The program of the bench against the functional machine, which knows nothing of how its bytes were worked out."""

from __future__ import annotations

import numpy as np
import pytest

from vitreous.golden.machine import ORDERS, Machine
from vitreous.hw.verilog.sample import sample
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, load_accelerator

SMALLEST = MemoryConfig(activation_kib=1, weight_kib=1, residual_kib=1, parameter_entries=32, score_keys=8)
CONFIGS = {
    "edge64": load_accelerator("edge64"),
    "more depth than lanes": AcceleratorConfig(array=ArrayConfig(lanes=4, depth=8), memory=SMALLEST),
    "few words": AcceleratorConfig(array=ArrayConfig(lanes=32, depth=8), memory=SMALLEST),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("order", ORDERS)
def test_bytes_are_those_of_the_functional_machine(name: str, order: str) -> None:
    config = CONFIGS[name]
    made = sample(config)
    assert made.image[: made.read_from] == bytes(made.read_from)
    window = np.frombuffer(made.image, np.uint8)[made.read_from :]
    machine = Machine(config)
    written = machine.execute_encoded(window, 0, made.instructions, made.read_from, order=order)
    assert written.tobytes() == made.expected
    assert len(set(made.expected)) > 20, "bytes that differ, or a stuck bus would pass"
    assert not any(machine.tokens.counts.values())
