"""A product of signed bytes behind a register, which on ECP5 is the one inside the multiplier.

Elaborated for the platform ``Ecp5`` it is the primitive MULT18X18D with its output register, for any other one a
product and a register of plain logic. Yosys infers the multiplier of an ECP5 but none of its registers; outside, the
register lies a long wire from the block: multipliers of this part stand in a few rows, up to 70 columns from the logic
around them.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal, Value

from vitreous.hw.platforms import Ecp5

BITS = 18
"""Width of both operands; the product has twice as many."""


def registered_product(m: Module, a: Value, b: Value, *, name: str, platform: object) -> Signal:
    """``a * b`` of the cycle before, in a signal called ``name``; both signed, of at most 18 bits.

    It is part of ``m`` and no module of its own: a module for each product would slow the simulation.
    """
    product = Signal((a * b).shape(), name=name, reset_less=True)
    if isinstance(platform, Ecp5):
        m.submodules[f"{name}_block"] = primitive(a, b, product)
    else:
        m.d.sync += product.eq(a * b)
    return product


def primitive(a: Value, b: Value, product: Signal) -> Instance:
    """The block with the register behind its multiplier and none before it: one register feeds many blocks."""
    operands = {"A": _extended(a), "B": _extended(b)}
    whole = Signal(2 * BITS, name=f"{product.name}_whole")
    pins: dict[str, Any] = {
        f"i_{port}{bit}": value[bit] for port, value in operands.items() for bit in range(BITS)
    }
    pins |= {f"o_P{bit}": whole[bit] if bit >= len(product) else product[bit] for bit in range(2 * BITS)}
    return Instance(
        "MULT18X18D",
        p_REG_OUTPUT_CLK="CLK0",
        p_REG_OUTPUT_CE="CE0",
        p_REG_OUTPUT_RST="RST0",
        p_SOURCEB_MODE="B_SHIFT",
        p_MULT_BYPASS="DISABLED",
        p_GSR="DISABLED",
        i_CLK0=ClockSignal(),
        i_CE0=Const(1, 1),
        i_RST0=Const(0, 1),
        i_SIGNEDA=Const(1, 1),
        i_SIGNEDB=Const(1, 1),
        i_SOURCEA=Const(0, 1),
        i_SOURCEB=Const(0, 1),
        **pins,
    )


def _extended(value: Value) -> Value:
    if not value.shape().signed or len(value) > BITS:
        raise ValueError(
            f"An operand of MULT18X18D is signed and has at most {BITS} bits, not {value.shape()!r}"
        )
    return Cat(value, value[-1].replicate(BITS - len(value)))
