"""The cocotb side of test_board: waits for the bench."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge, with_timeout


@cocotb.test()
async def finishes(dut: Any) -> None:
    await with_timeout(RisingEdge(dut.finished), 20, "ms")
