"""An on-chip memory with one read and one write port, shared among clients by fixed priority."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.checks import positive, within
from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, ReadPort, WritePort
from vitreous.hw.memory.ram import Ram
from vitreous.spec.variants import MemoryStyle


def _clients(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """Raises ValueError unless there is at least one and each has a name of its own."""
    if isinstance(names, str) or not names or len(set(names)) != len(names):
        raise ValueError(f"{kind} must be different names, at least one, not {names!r}")
    return tuple(names)


class Scratchpad(wiring.Component):
    """``depth`` words of ``width`` bits, zero after configuration.

    Latency: read data in the cycle after ``valid & ready``; a write is visible to reads ``WRITE_LATENCY`` cycles after
    its ``valid & ready`` and later: it waits in a register for one of them. Throughput: one read and one write a cycle.
    Back-pressure: ``ready`` of a client is low exactly while an earlier client in the list is ``valid``; the first is
    never stalled.

    Parameters
    ----------
    width, depth : size of the memory, at least two words.
    reads, writes : names of the clients, highest priority first.
    masked : the write clients that have a byte mask; the others write whole words.
    style : what an FPGA's tool is told to take for the words.

    Raises ValueError for another width or depth, a port without a client, two clients of one name, and a masked client
    that does not write.

    Members
    -------
    read_NAME : In(ReadPort(width)); write_NAME : In(WritePort(width)).
    read, write : Out(1), a read, a write is performed in this cycle.

    ``fault`` of a client says that its valid address is ``depth`` or more; such an access is granted and not performed.
    """

    WRITE_LATENCY = 2

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        reads: Sequence[str],
        writes: Sequence[str],
        masked: Sequence[str] = (),
        style: MemoryStyle = MemoryStyle.AUTO,
    ) -> None:
        self._width = positive("Width", width)
        self._depth = within("Depth", depth, 2, 1 << WORD_ADDRESS_BITS)
        self._reads, self._writes = _clients("Reads", reads), _clients("Writes", writes)
        self._masked, self._style = tuple(masked), style
        for name in self._masked:
            if name not in self._writes:
                raise ValueError(f"Masked clients must be among {', '.join(writes)}, not {name!r}")
        members = {"read": Out(1), "write": Out(1)}
        members |= {f"read_{name}": In(ReadPort(width)) for name in reads}
        members |= {f"write_{name}": In(WritePort(width, masked=name in masked)) for name in writes}
        super().__init__(members)

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self._width

    @property
    def depth(self) -> int:
        """Words."""
        return self._depth

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the clients that read, highest priority first."""
        return self._reads

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the clients that write, highest priority first."""
        return self._writes

    @property
    def masked(self) -> tuple[str, ...]:
        """Names of the clients that write with a byte mask."""
        return self._masked

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # A module of its own under a name that says its size: a macro can take its place.
        mask_bits = 8 if self._masked else self._width
        ram = Ram(words=self._depth, bits=self._width, mask_bits=mask_bits, style=self._style)
        m.submodules[ram.module_name] = ram
        address_bits = len(ram.read_addr)

        readers = [getattr(self, f"read_{name}") for name in self._reads]
        self._build_grant(m, readers, self.read)
        m.d.comb += ram.read_en.eq(self.read)
        for port in reversed(readers):  # the last assignment, that of the first client, wins
            m.d.comb += port.data.eq(ram.read_data)
            with m.If(port.valid):
                m.d.comb += ram.read_addr.eq(port.addr[:address_bits])

        writers = [getattr(self, f"write_{name}") for name in self._writes]
        self._build_grant(m, writers, self.write)
        # A register between the clients, whose priority is the end of long paths, and the many cells of a memory.
        mask = Signal.like(ram.write_en, name="write_mask")
        address = Signal.like(ram.write_addr, name="write_address")
        word = Signal.like(ram.write_data, name="write_data")
        enable = Signal.like(mask, name="write_enable_register")
        m.d.sync += enable.eq(mask & self.write.replicate(len(mask)))
        for name, target, value in (("address", ram.write_addr, address), ("data", ram.write_data, word)):
            register = Signal.like(value, name=f"write_{name}_register", reset_less=True)
            m.d.sync += register.eq(value)
            m.d.comb += target.eq(register)
        m.d.comb += ram.write_en.eq(enable)
        for name, port in reversed(list(zip(self._writes, writers, strict=True))):
            with m.If(port.valid):
                m.d.comb += [
                    address.eq(port.addr[:address_bits]),
                    word.eq(port.data),
                    mask.eq(port.mask if name in self._masked else Const(-1, len(mask))),
                ]
        return m

    def _build_grant(self, m: Module, ports: Sequence[wiring.PureInterface], performed: Signal) -> None:
        """Fixed priority: a client is ready while no earlier one is valid; ``performed`` is high for a granted
        access in range."""
        before: list[Signal] = []
        granted = []
        for port in ports:
            m.d.comb += [
                port.ready.eq(~Cat(before).any()),
                port.fault.eq(port.valid & (port.addr >= self._depth)),
            ]
            granted.append(port.valid & port.ready & ~port.fault)
            before.append(port.valid)
        m.d.comb += performed.eq(Cat(granted).any())
