"""The few operations of which every formula of an event's energy is a sum (docs/energy.md), in pJ."""

from __future__ import annotations

from vitreous.reports.energy.technology import Range, Technology


class Primitives:
    """pJ of the operations from which formulas are made, on one technology."""

    def __init__(self, technology: Technology) -> None:
        self.technology = technology
        self._data = technology["data_dependence"]
        self._product_bit = technology["multiply_int8"] * self._data / 64
        self._sum_bit = technology["add_int32"] * self._data / 32
        self._register_bit = technology["register_bit"]
        self._table_bit = technology["table_bit"]

    def mul(self, a: float, b: float) -> Range:
        """A product of ``a`` by ``b`` bits: that of 8 by 8 times ``a b / 64``."""
        return self._product_bit * (a * b)

    def add(self, bits: float) -> Range:
        """A sum or a comparison: that of 32 bits times ``bits / 32``."""
        return self._sum_bit * bits

    def shift(self, bits: float, stages: float) -> Range:
        """``stages`` rows of ``bits`` multiplexers, each a third of a bit's sum (assumed)."""
        return self._sum_bit * (bits * stages / 3)

    def reg(self, bits: float) -> Range:
        """``bits`` registers that take a new value."""
        return self._register_bit * bits

    def table(self, bits: float) -> Range:
        """A read of a small table."""
        return self._table_bit * bits

    def wire(self, bits: float) -> Range:
        """``bits`` moved across the accelerator."""
        return self.technology["wire_bit"] * self._data * bits
