"""Interfaces between the hardware units: memory ports, commands, error reports. docs/machine.md has the
contract in words.
"""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Module, Shape, ValueLike, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive
from vitreous.spec import isa

WORD_ADDRESS_BITS = isa.ADDRESS_BITS + 2
"""Two bits more than an instruction's addresses, so that base + offset shows an overrun instead of wrapping."""


class Command(data.StructLayout):
    """What a queue hands to its unit: the instruction and its program counter."""

    def __init__(self) -> None:
        super().__init__({"pc": isa.PC_BITS, "word": 8 * isa.INSTRUCTION_BYTES})


def instruction_layout(opcode: isa.Opcode) -> data.StructLayout:
    """The view of a 256-bit instruction word for one opcode, derived from the field table of ``spec.isa``."""
    members = {f.name: _shape(f) for f in isa.layout(opcode)}
    used = sum(f.width for f in isa.layout(opcode))
    members["padding"] = unsigned(8 * isa.INSTRUCTION_BYTES - used)
    return data.StructLayout(members)


def used_bits(queue: isa.Queue) -> int:
    """Bits of a ``Command``, from bit 0 on, beyond which no instruction of this queue has a field."""
    opcodes = (opcode for opcode, its in isa.QUEUE_OF.items() if its is queue)
    return isa.PC_BITS + max(sum(f.width for f in isa.layout(opcode)) for opcode in opcodes)


def _shape(f: isa.Field) -> Shape:
    return signed(f.width) if f.signed else unsigned(f.width)


class ErrorReport(data.StructLayout):
    """``valid`` is a pulse or a level; the first one seen is kept by the control unit."""

    def __init__(self) -> None:
        super().__init__({"valid": 1, "code": 8, "pc": isa.PC_BITS})


def unit_members(events: Iterable[str]) -> dict[str, wiring.Member]:
    """The side that each of the four units (matrix, vector, load, store) turns to its queue and to control.

    i : In, stream of ``Command``, of the unit's queue.
    done : Out, pulse: the oldest instruction retires, its last write made.
    busy : Out, an instruction is held or not retired.
    error : Out, pulse or level: the unit met an error and does nothing more until it is reset.
    halt : In, nothing starts, is read or is written from this cycle on.
    events : Out, one bit for each of ``events``: it happens in this cycle; ``isa.COUNTERS`` says what is counted.
    """
    return {
        "i": In(stream.Signature(Command())),
        "done": Out(1),
        "busy": Out(1),
        "error": Out(ErrorReport()),
        "halt": In(1),
        "events": Out(data.StructLayout(dict.fromkeys(events, 1))),
    }


def report_first(
    m: Module, report: data.View, causes: Iterable[tuple[ValueLike, isa.ErrorCode, ValueLike]]
) -> None:
    """``report`` is the first of ``causes`` (condition, code, program counter) that holds in this cycle."""
    for cause, code, pc in reversed(list(causes)):
        with m.If(cause):
            m.d.comb += [report.valid.eq(1), report.code.eq(code), report.pc.eq(pc)]


class ReadPort(wiring.Signature):
    """A client's read port. Data is valid in the cycle after ``valid & ready`` and only there.

    Members (seen from the client): ``valid`` out, ``addr`` out, ``ready`` in, ``fault`` in (combinational: the
    address is beyond the end,
    ``ready`` is high and nothing is read), ``data`` in.
    """

    def __init__(self, width: int) -> None:
        positive("Width", width)
        super().__init__(
            {
                "valid": Out(1),
                "addr": Out(WORD_ADDRESS_BITS),
                "ready": In(1),
                "fault": In(1),
                "data": In(width),
            }
        )


class WritePort(wiring.Signature):
    """A client's write port. The word is written one cycle after the clock edge that ends a cycle with ``valid &
    ready & ~fault``.

    ``mask`` (where ``masked``) has one bit for each byte.
    """

    def __init__(self, width: int, *, masked: bool = False) -> None:
        positive("Width", width)
        if masked and width % 8:
            raise ValueError(f"Width must be a multiple of 8 where words are masked, not {width!r}")
        members = {
            "valid": Out(1),
            "addr": Out(WORD_ADDRESS_BITS),
            "ready": In(1),
            "fault": In(1),
            "data": Out(width),
        }
        if masked:
            members["mask"] = Out(width // 8)
        super().__init__(members)
        self.masked = masked
