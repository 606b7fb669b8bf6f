"""The words of an on-chip memory and nothing else: what a block memory of an FPGA or a macro of an ASIC takes over."""

from __future__ import annotations

import re
from collections.abc import Mapping

from amaranth.hdl import MemoryData, MemoryInstance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive, within
from vitreous.spec.variants import MemoryStyle

ATTRIBUTES: Mapping[MemoryStyle, Mapping[str, str]] = {
    MemoryStyle.AUTO: {},
    MemoryStyle.ULTRA: {"ram_style": "ultra"},
}
"""Of the array in Verilog, as AMD's tools and Yosys read them."""

NAME = re.compile(r"ram_1r1w_(?P<words>\d+)x(?P<bits>\d+)x(?P<mask_bits>\d+)")
"""What ``Ram.module_name`` says."""
PORTS = ("clk", "read_en", "read_addr", "read_data", "write_en", "write_addr", "write_data")
"""Of the Verilog module. For these names each must come from one operation: of a concatenation Amaranth makes several
ports."""


class Ram(wiring.Component):
    """``words`` words of ``bits`` bits with a read and a write port: no reset, no arbiter, nothing beside the array.

    Latency: ``read_data`` in the cycle after ``read_en``, and kept until the next one; a read in the cycle of a write
    to the same word returns the old word. Throughput: one read and one write a cycle.

    Parameters
    ----------
    words, bits : size of the array, at least two words.
    mask_bits : bits that one bit of ``write_en`` writes; ``bits`` for whole words.
    style : what an FPGA's tool is told to take.

    Raises ValueError for another size, and a mask that does not divide the word.

    Members
    -------
    read_en, read_addr : In. read_data : Out(bits).
    write_en : In(bits / mask_bits). write_addr, write_data : In.
    """

    def __init__(
        self, *, words: int, bits: int, mask_bits: int, style: MemoryStyle = MemoryStyle.AUTO
    ) -> None:
        self._words, self._bits = within("Words", words, 2, 1 << 32), positive("Bits", bits)
        if bits % positive("Mask bits", mask_bits):
            raise ValueError(f"Mask bits must divide the {bits} bits of a word, not {mask_bits!r}")
        self._mask_bits, self._style = mask_bits, style
        address_bits = (words - 1).bit_length()
        super().__init__(
            {
                "read_en": In(1),
                "read_addr": In(address_bits),
                "read_data": Out(bits),
                "write_en": In(bits // mask_bits),
                "write_addr": In(address_bits),
                "write_data": In(bits),
            }
        )

    @property
    def module_name(self) -> str:
        """``ram_1r1w_WORDSxBITSxMASK``: memories of one name are exchangeable."""
        return f"ram_1r1w_{self._words}x{self._bits}x{self._mask_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        array = MemoryData(shape=self._bits, depth=self._words, init=[])
        m.submodules.array = ports = MemoryInstance(data=array, attrs=dict(ATTRIBUTES[self._style]))
        ports.read_port(
            domain="sync", addr=self.read_addr, data=self.read_data, en=self.read_en, transparent_for=()
        )
        ports.write_port(domain="sync", addr=self.write_addr, data=self.write_data, en=self.write_en)
        return m
