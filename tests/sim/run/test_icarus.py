"""A second simulator reads the same Verilog: bench and accelerator in Icarus Verilog, unknowns (x) and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.sim.small import TINY, golden_window, small_program
from vitreous.sim.errors import SimulationError
from vitreous.sim.run import toolchain
from vitreous.sim.run.build import build_icarus
from vitreous.sim.run.runtime import simulate
from vitreous.sim.run.toolchain import ToolchainError


@pytest.mark.slow
def test_icarus_equals_the_functional_machine(icarus: str, tmp_path: Path) -> None:
    program, image = small_program(TINY, "K smaller than N, relu")
    run = simulate(program, [image], TINY, folder=tmp_path, simulator="icarus")
    np.testing.assert_array_equal(run.images[0].window, golden_window(program, image, TINY))
    assert run.images[0].counters["instructions"] == len(program.instructions)


def test_a_missing_or_unknown_simulator_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "iverilog", lambda: None)
    with pytest.raises(ToolchainError, match="Icarus Verilog \\(iverilog and vvp\\) was not found on PATH"):
        build_icarus(TINY, root=tmp_path)
    program, image = small_program(TINY, "K smaller than N, relu")
    with pytest.raises(SimulationError, match="must be verilator, or icarus without waves, not questa"):
        simulate(program, [image], TINY, folder=tmp_path, simulator="questa")
