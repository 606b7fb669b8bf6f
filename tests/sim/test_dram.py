import dataclasses

import pytest

from tests.support.sim.small import TINY, small_program
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming, check_program, memory_bits, write_base
from vitreous.sim.errors import SimulationError

PROGRAM, _ = small_program(TINY, "K smaller than N, relu")


def test_the_dram_is_as_large_as_its_programs_need() -> None:
    assert memory_bits(PROGRAM) == 26
    base = write_base(PROGRAM)
    for bits in (27, 30, 32):
        exact = dataclasses.replace(PROGRAM, write_size=(1 << bits) - base)
        assert memory_bits(exact) == bits
        assert memory_bits(PROGRAM, exact) == bits
        more = dataclasses.replace(PROGRAM, write_size=(1 << bits) - base + 1)
        assert memory_bits(more) == bits + 1


def test_only_addresses_limit_a_program() -> None:
    reached = dataclasses.replace(PROGRAM, write_size=(1 << 32) - write_base(PROGRAM))
    check_program(reached, TINY)
    assert predict(reached, TINY, MemoryTiming()).cycles == predict(PROGRAM, TINY, MemoryTiming()).cycles
    beyond = dataclasses.replace(reached, write_size=reached.write_size + 1)
    with pytest.raises(SimulationError, match="needs 4294967297 bytes of DRAM, and 32-bit addresses reach"):
        check_program(beyond, TINY)
