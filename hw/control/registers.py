"""The AXI4-Lite register file of ``spec.isa.Register``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ADDRESS_BITS, Axi4Lite
from vitreous.hw.control.fetch import LENGTH_BITS
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.spec import isa, layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Register

BUS_ADDRESS_BITS = 12
CYCLE_LIMIT_BITS = 32
_ALIGN_BITS = (layout.DRAM_ALIGN - 1).bit_length()


class Status(data.StructLayout):
    """The STATUS register, bit for bit."""

    def __init__(self) -> None:
        super().__init__({"busy": 1, "done": 1, "error": 1, "code": isa.STATUS_CODE_BITS, "pc": isa.PC_BITS})


class Registers(wiring.Component):
    """Host access: 32-bit words, byte strobes on writes, responses always OKAY. Address and data of a write may come in
    any order; each request channel has a register of its own, so that no path leads through the port. While the
    machine is busy, windows, offset, length and limit keep their values: writes to them are ignored.

    Latency: 2 cycles. Throughput: one access in 2 cycles. Back-pressure: AXI4-Lite handshakes; while an answer waits,
    one more request is taken. An address without a register reads 0 and ignores writes. READ_BASE, WRITE_BASE and
    PROGRAM_OFFSET are multiples of 64: their low bits read 0.

    Parameters
    ----------
    config : its digest; with ``protect.parity`` there is a member ``upset``: a register is not what the host wrote.

    Members
    -------
    bus : In(Axi4Lite(12)).
    read_base, read_size, write_base, write_size, program_offset : Out(32). program_length : Out(17), saturated.
    interrupt_enable : Out(1). cycle_limit : Out(32).
    start, reset, clear_interrupt : Out(1), pulses of CONTROL.
    status : In(Status()).
    counter_index : Out, counter_value : In(48).
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self._config = config
        super().__init__(
            {
                "bus": In(Axi4Lite(BUS_ADDRESS_BITS)),
                "read_base": Out(ADDRESS_BITS),
                "read_size": Out(ADDRESS_BITS),
                "write_base": Out(ADDRESS_BITS),
                "write_size": Out(ADDRESS_BITS),
                "program_offset": Out(ADDRESS_BITS),
                "program_length": Out(LENGTH_BITS),
                "interrupt_enable": Out(1),
                "cycle_limit": Out(CYCLE_LIMIT_BITS),
                "start": Out(1),
                "reset": Out(1),
                "clear_interrupt": Out(1),
                "status": In(Status()),
                "counter_index": Out(range(len(isa.COUNTERS))),
                "counter_value": In(isa.COUNTER_BITS),
            }
            | upset_member(config.protect.parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        guard = Guard(m, on=self._config.protect.parity)
        length = Signal(32, name="length")
        m.d.comb += self.program_length.eq(
            Mux(length[isa.PC_BITS :].any(), 1 << isa.PC_BITS, length[: isa.PC_BITS])
        )
        self._build_write(m, guard, length)
        self._build_read(m, length)
        guard.report(self)
        return m

    def _build_held(
        self, m: Module, channel: str, take: Signal, *payload: str
    ) -> tuple[Signal, dict[str, Signal]]:
        """The register of a request channel: ready while it is empty, emptied by ``take``. Returns: it is full, and
        its payload."""
        bus = self.bus
        full = Signal(name=f"{channel}_held")
        held = {name: Signal.like(getattr(bus, name), name=f"held_{name}") for name in payload}
        ready, valid = getattr(bus, f"{channel}ready"), getattr(bus, f"{channel}valid")
        m.d.comb += ready.eq(~full)
        with m.If(take):
            m.d.sync += full.eq(0)
        with m.If(valid & ready):
            m.d.sync += [full.eq(1), *(held[name].eq(getattr(bus, name)) for name in payload)]
        return full, held

    def _build_write(self, m: Module, guard: Guard, length: Signal) -> None:
        bus = self.bus
        write = Signal()
        addressed, address = self._build_held(m, "aw", write, "awaddr")
        filled, written = self._build_held(m, "w", write, "wdata", "wstrb")
        awaddr, wdata, wstrb = address["awaddr"], written["wdata"], written["wstrb"]
        m.d.comb += write.eq(addressed & filled & (~bus.bvalid | bus.bready))
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(write):
            m.d.sync += bus.bvalid.eq(1)
        plain = {
            Register.READ_SIZE: self.read_size,
            Register.WRITE_SIZE: self.write_size,
            Register.PROGRAM_LENGTH: length,
            Register.INTERRUPT_ENABLE: self.interrupt_enable,
            Register.CYCLE_LIMIT: self.cycle_limit,
        }
        aligned = {
            Register.READ_BASE: self.read_base,
            Register.WRITE_BASE: self.write_base,
            Register.PROGRAM_OFFSET: self.program_offset,
        }
        following = {}
        for register, target in (plain | aligned).items():
            # What the host writes as a whole is right again.
            whole = write & (awaddr[2:] == register >> 2) & wstrb.all() & self._open(register)
            _, following[register] = guard.register(target, renewed=whole if guard.on else None)
            if guard.on and register in aligned:
                m.d.comb += following[register][:_ALIGN_BITS].eq(0)
        control = (self.start, self.reset, self.clear_interrupt)
        commands = (isa.CONTROL_START, isa.CONTROL_RESET, isa.CONTROL_CLEAR_INTERRUPT)
        with m.If(write):
            with m.Switch(awaddr[2:]):
                for register, target in (plain | aligned).items():
                    with m.Case(register >> 2):
                        low = _ALIGN_BITS if register in aligned else 0
                        open_ = self._open(register)
                        for byte in range((len(target) + 7) // 8):
                            bits = slice(max(8 * byte, low), min(8 * byte + 8, len(target)))
                            with m.If(wstrb[byte] & open_):
                                m.d[guard.domain] += following[register][bits].eq(wdata[bits])
                with m.Case(Register.CONTROL >> 2):
                    for pulse, mask in zip(control, commands, strict=True):
                        m.d.comb += pulse.eq((wdata[:8] & mask).any() & wstrb[0])

    def _open(self, register: Register) -> ValueLike:
        """Whether the host may write it now."""
        return 1 if register is Register.INTERRUPT_ENABLE else ~self.status.busy

    def _build_read(self, m: Module, length: Signal) -> None:
        bus = self.bus
        values = {
            Register.MAGIC: Const(isa.MAGIC_VALUE, 32),
            Register.CONFIG: Const(self._config.digest32, 32),
            Register.STATUS: self.status.as_value(),
            Register.READ_BASE: self.read_base,
            Register.READ_SIZE: self.read_size,
            Register.WRITE_BASE: self.write_base,
            Register.WRITE_SIZE: self.write_size,
            Register.PROGRAM_OFFSET: self.program_offset,
            Register.PROGRAM_LENGTH: length,
            Register.INTERRUPT_ENABLE: self.interrupt_enable,
            Register.CYCLE_LIMIT: self.cycle_limit,
        }
        value, read = Signal(32, name="value"), Signal(name="read")
        addressed, held = self._build_held(m, "ar", read, "araddr")
        address = held["araddr"]
        counter = address[3:BUS_ADDRESS_BITS] - (Register.COUNTERS >> 3)
        m.d.comb += [
            read.eq(addressed & (~bus.rvalid | bus.rready)),
            self.counter_index.eq(counter),
        ]
        with m.Switch(address[2:]):
            for register, source in values.items():
                with m.Case(register >> 2):
                    m.d.comb += value.eq(source)
        first, end = Register.COUNTERS, Register.COUNTERS + 8 * len(isa.COUNTERS)
        with m.If((address >= first) & (address < end)):
            halves = Cat(self.counter_value, Const(0, 64 - isa.COUNTER_BITS))
            m.d.comb += value.eq(halves.word_select(address[2], 32))
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(read):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(value)]
