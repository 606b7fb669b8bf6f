"""Names of registers: timing reports, waveforms and logic analysers show nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from amaranth.hdl import Fragment

from tests.support.sim.small import TINY
from vitreous.hw.accelerator import Accelerator


def registers(fragment: Any, path: str = "top") -> Iterator[str]:
    """The path of every register in ``fragment``."""
    for statement in fragment.statements.get("sync", ()):
        yield from (f"{path}.{signal.name}" for signal in statement._lhs_signals())
    for part, name, _ in fragment.subfragments:
        if hasattr(part, "statements"):
            yield from registers(part, f"{path}.{name}")


@pytest.mark.slow
def test_every_register_has_a_name() -> None:
    found = set(registers(Fragment.get(Accelerator(TINY), None)))
    assert "top.load.back.loading" in found
    assert not [path for path in found if "$" in path.rpartition(".")[2]]
