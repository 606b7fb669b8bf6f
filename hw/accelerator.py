"""The whole machine of docs/machine.md: memories, four queues with their units, one AXI4 port, one AXI4-Lite port."""

from __future__ import annotations

from amaranth.hdl import Cat, Elaboratable, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import Axi4, Axi4Lite, ReadChannel
from vitreous.hw.control.control import Control
from vitreous.hw.control.counters import Counters
from vitreous.hw.control.dispatch import Dispatch
from vitreous.hw.control.fetch import Fetch
from vitreous.hw.control.issue import IssueQueue
from vitreous.hw.control.registers import BUS_ADDRESS_BITS, Registers
from vitreous.hw.control.tokens import Tokens
from vitreous.hw.load.load import LoadUnit
from vitreous.hw.matrix.matrix import MatrixUnit
from vitreous.hw.memory.scratchpad import Scratchpad
from vitreous.hw.store.store import StoreUnit
from vitreous.hw.vector.vector_unit import VectorUnit
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Queue

_AXI_LITE = Axi4Lite(BUS_ADDRESS_BITS)


def top_members(config: AcceleratorConfig) -> dict[str, wiring.Member]:
    """Every port of the top but ``clk`` and ``rst``, by the name that it has in Verilog."""
    members = {f"m_axi_{name}": member for name, member in Axi4(config.bus.data_bits).members.items()}
    members |= {f"s_axil_{name}": member.flip() for name, member in _AXI_LITE.members.items()}
    return members | {
        "irq": Out(1),
        "trace_issue": Out(len(Queue)),
        "trace_issue_pc": Out(len(Queue) * isa.PC_BITS),
        "trace_done": Out(len(Queue)),
    }


class Accelerator(wiring.Component):
    """Fetches and executes a program; see docs/machine.md for what a host does.

    Parameters
    ----------
    config : everything.

    Members (each a port of the Verilog module under this name; ``clk`` and ``rst`` are the sync domain's)
    -------
    s_axil_* : AXI4-Lite subordinate, 32-bit data, 12-bit address.
    m_axi_* : AXI4 manager.
    irq : Out(1).
    trace_issue, trace_done : Out(4), one bit for each queue: an instruction goes to its unit, retires.
    trace_issue_pc : Out(64), 16 bits for each queue, valid with its bit of ``trace_issue``.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self._config = config
        super().__init__(top_members(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        self._flush, self._halt = Signal(), Signal()
        m.submodules.registers = self._registers = Registers(config)
        m.submodules.control = self._control = Control(sources=2 + 2 * len(Queue))
        m.submodules.counters = self._counters = Counters()
        self._fetch = self._part(m, "fetch", Fetch(config))
        self._dispatch = self._part(m, "dispatch", Dispatch())
        self._tokens = Tokens()
        # A program's leftover tokens are the next one's: only a reset by the host takes them away.
        m.submodules.tokens = ResetInserter(self._flush & ~self._control.clear)(self._tokens)
        self._channel = self._part(m, "channel", ReadChannel(data_bits=config.bus.data_bits))
        self._load = self._part(m, "load", LoadUnit(config))
        self._matrix = self._part(m, "matrix", MatrixUnit(config))
        self._vector = self._part(m, "vector", VectorUnit(config))
        self._store = self._part(m, "store", StoreUnit(config))
        self._units = {
            Queue.LOAD: self._load,
            Queue.MATRIX: self._matrix,
            Queue.VECTOR: self._vector,
            Queue.STORE: self._store,
        }
        self._queues = {
            queue: self._part(m, f"queue_{queue.name.lower()}", IssueQueue(config)) for queue in Queue
        }
        self._build_host(m)
        self._build_bus(m)
        self._build_memories(m)
        self._build_queues(m)
        self._build_control(m)
        self._build_counters(m)
        return m

    def _part(self, m: Module, name: str, part: Elaboratable) -> Elaboratable:
        """A submodule that ``flush`` brings back to its reset state; memories are not such parts and keep their
        contents."""
        m.submodules[name] = ResetInserter(self._flush)(part)
        return part

    def _build_host(self, m: Module) -> None:
        for name, member in _AXI_LITE.members.items():
            port, inner = getattr(self, f"s_axil_{name}"), getattr(self._registers.bus, name)
            m.d.comb += port.eq(inner) if member.flow is In else inner.eq(port)

    def _build_bus(self, m: Module) -> None:
        """The read channels belong to fetch and load, the write channels to store."""
        for name, member in Axi4(self._config.bus.data_bits).members.items():
            owner = self._channel if name.startswith(("ar", "r")) else self._store
            port, inner = getattr(self, f"m_axi_{name}"), getattr(owner.bus, name)
            m.d.comb += port.eq(inner) if member.flow is Out else inner.eq(port)
        registers = self._registers
        wiring.connect(m, self._fetch.bus, self._channel.fetch)
        wiring.connect(m, self._load.bus, self._channel.load)
        m.d.comb += [
            self._fetch.base.eq(registers.read_base),
            self._fetch.size.eq(registers.read_size),
            self._fetch.offset.eq(registers.program_offset),
            self._fetch.length.eq(registers.program_length),
            self._load.base.eq(registers.read_base),
            self._load.size.eq(registers.read_size),
            self._store.base.eq(registers.write_base),
            self._store.size.eq(registers.write_size),
        ]

    def _build_memories(self, m: Module) -> None:
        """The table of docs/machine.md: who reads and who writes, the first named first served."""
        config = self._config
        panel, residual = 8 * config.panel_word_bytes, 8 * config.residual_word_bytes
        m.submodules.memory_x = x = Scratchpad(
            width=panel,
            depth=config.x_depth,
            reads=("matrix", "store"),
            writes=("matrix", "vector", "load"),
            masked=("load",),
        )
        m.submodules.memory_w = w = Scratchpad(
            width=panel, depth=config.w_depth, reads=("matrix", "store"), writes=("matrix", "load")
        )
        m.submodules.memory_r = r = Scratchpad(
            width=residual,
            depth=config.r_depth,
            reads=("matrix", "vector", "store"),
            writes=("matrix", "vector", "load"),
        )
        m.submodules.memory_p = p = Scratchpad(
            width=8 * isa.PARAMETER_BYTES, depth=config.p_depth, reads=("matrix",), writes=("load",)
        )
        self._memories = {"x": x, "w": w, "r": r, "p": p}
        for name, memory in self._memories.items():
            for queue, unit in self._units.items():
                client = queue.name.lower()
                for port, side in ((name, f"read_{client}"), (f"{name}o", f"write_{client}")):
                    if hasattr(memory, side):
                        wiring.connect(m, getattr(unit, port), getattr(memory, side))

    def _build_queues(self, m: Module) -> None:
        """Fetch -> dispatch -> queue -> unit, and the tokens between the queues."""
        wiring.connect(m, self._fetch.o, self._dispatch.i)
        for queue, line in self._queues.items():
            name, unit = queue.name.lower(), self._units[queue]
            wiring.connect(m, getattr(self._dispatch, name), line.i)
            wiring.connect(m, line.o, unit.i)
            m.d.comb += [
                line.done.eq(unit.done),
                line.halt.eq(self._halt),
                unit.halt.eq(self._halt),
                line.available.eq(getattr(self._tokens, f"available_{name}")),
                line.overflow.eq(getattr(self._tokens, f"overflow_{name}")),
                getattr(self._tokens, f"take_{name}").eq(line.take),
                getattr(self._tokens, f"give_{name}").eq(line.give),
                self.trace_issue[queue].eq(line.issue),
                self.trace_issue_pc.word_select(int(queue), isa.PC_BITS).eq(line.head_pc),
                self.trace_done[queue].eq(line.complete),
            ]
        lines = self._queues.values()
        m.d.comb += [
            self._dispatch.exhausted.eq(self._fetch.finished),
            self._dispatch.queued.eq(Cat(line.queued for line in lines)),
            self._dispatch.waiting.eq(Cat(line.missing.any() for line in lines)),
            self._dispatch.idle.eq(
                ~Cat(*(line.active for line in lines), *(unit.busy for unit in self._units.values())).any()
            ),
            self._dispatch.heads.eq(Cat(line.head_pc for line in lines)),
            self._dispatch.halt.eq(self._halt),
            self._fetch.halt.eq(self._halt),
        ]

    def _build_control(self, m: Module) -> None:
        control, registers = self._control, self._registers
        for name in ("start", "reset", "clear_interrupt", "interrupt_enable"):
            m.d.comb += getattr(control, name).eq(getattr(registers, name))
        reports = [
            *(unit.error for unit in self._units.values()),
            self._fetch.error,
            self._dispatch.error,
            *(line.error for line in self._queues.values()),
        ]
        # One cycle later: some reports come at the end of long paths, and a unit that met an error stops by itself.
        for number, report in enumerate(reports):
            kept = Signal.like(report, name=f"error_{number}", reset_less=True)
            m.d.sync += [kept.eq(report), kept.valid.eq(report.valid & ~self._flush)]
            m.d.comb += getattr(control, f"error_{number}").eq(kept)
        m.d.comb += [
            control.finished.eq(self._dispatch.finished),
            control.drained.eq(self._fetch.drained & self._load.drained & self._store.drained),
            registers.status.eq(control.status),
            registers.counter_value.eq(self._counters.value),
            self._counters.index.eq(registers.counter_index),
            self._counters.enable.eq(control.running),
            self._counters.clear.eq(control.clear),
            self._fetch.start.eq(control.begin),
            self._halt.eq(control.halt),
            self._flush.eq(control.flush),
            self.irq.eq(control.interrupt),
        ]

    def _build_counters(self, m: Module) -> None:
        events = self._events()
        names = [name for name, _ in isa.COUNTERS]
        assert sorted(events) == sorted(names), "every counter of spec.isa has one event here"
        m.d.comb += self._counters.events.eq(Cat(events[name] for name in names))

    def _events(self) -> dict[str, Value]:
        """The event of each counter."""
        matrix, memories = self._matrix.events, self._memories
        load, queue, row, store = (
            self._queues[q] for q in (Queue.LOAD, Queue.MATRIX, Queue.VECTOR, Queue.STORE)
        )
        # A cycle without a word for the array has one cause: these exclude each other and array_busy.
        idle = ~(matrix.busy | matrix.stall_readout | matrix.stall_parameters)
        events: dict[str, Value] = {}
        for q in Queue:
            lower = queue.missing & ((1 << q) - 1)
            events[f"matrix_wait_{q.name.lower()}"] = idle & queue.missing[q] & ~lower.any()
        for name, line in (("load", load), ("vector", row), ("store", store)):
            events |= {f"{name}_busy": line.active, f"{name}_wait_token": line.missing.any()}
        for name, memory in memories.items():
            events |= {f"{name}_reads": memory.read, f"{name}_writes": memory.write}
        del events["p_writes"]  # the beats of LOAD say it
        return events | {
            "cycles": self._control.running,
            "array_busy": matrix.busy,
            "matrix_stall_readout": matrix.stall_readout,
            "matrix_stall_parameters": matrix.stall_parameters,
            "matrix_empty": ~(queue.queued | queue.active),
            "instructions": self._dispatch.dispatched,
            "load_beats": self._load.events.beat,
            "fetch_beats": self._fetch.events.beat,
            "store_beats": self._store.events.beat,
            "s_reads": matrix.s_read,
            "s_writes": matrix.s_write,
            "readout_columns": matrix.readout_column,
            "activation_columns": matrix.activation_column,
            "score_columns": matrix.score_column,
            "norm_columns": self._vector.events.norm_column,
        }
