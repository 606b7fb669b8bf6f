"""The cocotb side of test_toolchain: a counter with its own clock, of which only the ports can be seen."""

import os
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge


@cocotb.test()
async def counts_to_its_limit(dut: Any) -> None:
    limit = int(os.environ["COUNTER_LIMIT"])
    dut.limit.value = limit
    await RisingEdge(dut.done)
    assert int(dut.count.value) == limit
    assert not hasattr(dut, "hidden")
