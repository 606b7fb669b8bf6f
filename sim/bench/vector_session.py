"""The cocotb side of the vector bench: it starts, and waits until the bench has read its file. Clock, stimulus and
comparison are in ``vectors.sv``.
"""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from vitreous.sim.run.parent import die_with_parent


@cocotb.test()
async def run_vectors(dut: Any) -> None:
    """Until every vector has been compared."""
    die_with_parent()
    await RisingEdge(dut.finished)
