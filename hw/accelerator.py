"""The whole machine of docs/machine.md: memories, four queues with their units, one AXI4 port, one AXI4-Lite port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from amaranth.hdl import Cat, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw import checks
from vitreous.hw.axi.axi import ADDRESS_BITS, Axi4, Axi4Lite, ReadChannel
from vitreous.hw.control.control import Control
from vitreous.hw.control.counters import Counters
from vitreous.hw.control.cycle_limit import CycleLimit
from vitreous.hw.control.dispatch import Dispatch
from vitreous.hw.control.fetch import Fetch
from vitreous.hw.control.issue import IssueQueue
from vitreous.hw.control.registers import BUS_ADDRESS_BITS, Registers
from vitreous.hw.control.tokens import Tokens
from vitreous.hw.load.load import LoadUnit
from vitreous.hw.matrix.matrix import MatrixUnit
from vitreous.hw.memory.scratchpad import Scratchpad
from vitreous.hw.protect.alarm import Alarm
from vitreous.hw.store.store import StoreUnit
from vitreous.hw.vector.vector_unit import VectorUnit
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Queue

T = TypeVar("T")
Unit = LoadUnit | MatrixUnit | VectorUnit | StoreUnit
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


class Stop(NamedTuple):
    """What control says to the others. ``halt``: nothing starts any more, by a register of each part (``halted``), one
    cycle later; ``flush``: back to the reset state."""

    halt: Signal
    flush: Signal


class Pipeline(NamedTuple):
    """The way of an instruction: fetch, dispatch, and each queue's line with the unit behind it."""

    fetch: Fetch
    dispatch: Dispatch
    lines: Mapping[Queue, IssueQueue]
    units: Mapping[Queue, Unit]


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
        self._config = checks.accelerator(config)
        super().__init__(top_members(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        stop = Stop(halt=Signal(name="halt"), flush=Signal(name="flush"))
        m.submodules.registers = registers = Registers(config)
        parity = config.protect.parity
        m.submodules.control = control = Control(sources=3 + 2 * len(Queue), alarm=parity)
        m.submodules.cycle_limit = limit = CycleLimit()
        m.submodules.counters = counters = Counters()
        fetch = self._part(m, stop, "fetch", Fetch(config))
        dispatch = self._part(m, stop, "dispatch", Dispatch())
        tokens = Tokens(parity=parity)
        # A program's leftover tokens are the next one's: only a reset by the host takes them away.
        m.submodules.tokens = ResetInserter(stop.flush & ~control.clear)(tokens)
        channel = self._part(m, stop, "channel", ReadChannel(data_bits=config.bus.data_bits, parity=parity))
        load = self._part(m, stop, "load", LoadUnit(config))
        matrix = self._part(m, stop, "matrix", MatrixUnit(config))
        vector = self._part(m, stop, "vector", VectorUnit(config))
        store = self._part(m, stop, "store", StoreUnit(config))
        units: dict[Queue, Unit] = {
            Queue.LOAD: load,
            Queue.MATRIX: matrix,
            Queue.VECTOR: vector,
            Queue.STORE: store,
        }
        lines = {
            queue: self._part(m, stop, f"queue_{queue.name.lower()}", IssueQueue(config, queue=queue))
            for queue in Queue
        }
        self._build_host(m, registers)
        self._build_bus(m, registers, channel, fetch, load, store)
        memories = self._build_memories(m, units)
        pipeline = Pipeline(fetch, dispatch, lines, units)
        self._build_queues(m, pipeline, tokens)
        self._build_idle(m, pipeline)
        alarm = None
        if parity:
            guarded = (registers, tokens, channel, fetch, *lines.values(), *units.values())
            alarm = self._build_alarm(m, stop, control, dispatch, [part.upset for part in guarded])
        halted = self._build_halt(m, pipeline, stop.halt, alarm)
        self._build_commands(m, registers, control)
        self._build_limit(m, limit, registers, control, dispatch)
        sources = [*units.values(), fetch, dispatch, *lines.values(), limit]
        self._build_errors(m, control, stop.flush, sources)
        moving = load.events.beat | fetch.events.beat | store.events.beat | store.bus.bvalid
        m.d.comb += control.moving.eq(moving)
        drained = halted & fetch.drained & load.drained & store.drained
        self._build_control(m, control, registers, counters, fetch, dispatch.finished, drained, stop)
        events = self._events(control, fetch, dispatch, load, matrix, vector, store, lines, memories)
        self._build_counters(m, counters, events)
        return m

    def _part(self, m: Module, stop: Stop, name: str, part: T) -> T:
        """A submodule that ``flush`` brings back to its reset state; memories are not such parts and keep their
        contents."""
        wrapped: Any = ResetInserter(stop.flush)(part)
        m.submodules[name] = wrapped
        return part

    def _build_host(self, m: Module, registers: Registers) -> None:
        for name, member in _AXI_LITE.members.items():
            port, inner = getattr(self, f"s_axil_{name}"), getattr(registers.bus, name)
            m.d.comb += port.eq(inner) if member.flow is In else inner.eq(port)

    def _build_bus(
        self,
        m: Module,
        registers: Registers,
        channel: ReadChannel,
        fetch: Fetch,
        load: LoadUnit,
        store: StoreUnit,
    ) -> None:
        """The read channels belong to fetch and load, the write channels to store."""
        for name, member in Axi4(self._config.bus.data_bits).members.items():
            owner = channel if name.startswith(("ar", "r")) else store
            port, inner = getattr(self, f"m_axi_{name}"), getattr(owner.bus, name)
            m.d.comb += port.eq(inner) if member.flow is Out else inner.eq(port)
        wraps = Signal(2)  # registers do not change in a run, and a start is later than the last write
        windows = (
            (registers.read_base, registers.read_size),
            (registers.write_base, registers.write_size),
        )
        m.d.sync += wraps.eq(Cat((base + size) > (1 << ADDRESS_BITS) for base, size in windows))
        wiring.connect(m, fetch.bus, channel.fetch)
        wiring.connect(m, load.bus, channel.load)
        m.d.comb += [
            fetch.base.eq(registers.read_base),
            fetch.size.eq(registers.read_size),
            fetch.offset.eq(registers.program_offset),
            fetch.length.eq(registers.program_length),
            fetch.wraps.eq(wraps.any()),
            load.base.eq(registers.read_base),
            load.size.eq(registers.read_size),
            store.base.eq(registers.write_base),
            store.size.eq(registers.write_size),
        ]

    def _build_memories(self, m: Module, units: Mapping[Queue, Unit]) -> dict[str, Scratchpad]:
        """The table of docs/machine.md: who reads and who writes, the first named first served."""
        config = self._config
        panel, residual = 8 * config.panel_word_bytes, 8 * config.residual_word_bytes
        style = config.memory.style
        m.submodules.memory_x = x = Scratchpad(
            width=panel,
            depth=config.x_depth,
            reads=("matrix", "store"),
            writes=("matrix", "vector", "load"),
            masked=("load",),
            style=style,
        )
        m.submodules.memory_w = w = Scratchpad(
            width=panel,
            depth=config.w_depth,
            reads=("matrix", "store"),
            writes=("matrix", "load"),
            style=style,
        )
        m.submodules.memory_r = r = Scratchpad(
            width=residual,
            depth=config.r_depth,
            reads=("matrix", "vector", "store"),
            writes=("matrix", "vector", "load"),
            style=style,
        )
        m.submodules.memory_p = p = Scratchpad(
            width=8 * isa.PARAMETER_BYTES,
            depth=config.p_depth,
            reads=("matrix", "vector"),
            writes=("load",),
            style=style,
        )
        memories = {"x": x, "w": w, "r": r, "p": p}
        for name, memory in memories.items():
            for queue, unit in units.items():
                client = queue.name.lower()
                for port, side in ((name, f"read_{client}"), (f"{name}o", f"write_{client}")):
                    if hasattr(memory, side):
                        wiring.connect(m, getattr(unit, port), getattr(memory, side))
        return memories

    def _build_alarm(
        self, m: Module, stop: Stop, control: Control, dispatch: Dispatch, upsets: Sequence[Value]
    ) -> Alarm:
        """What hears of upsets of parts; its last source is for ``_build_halt``."""
        alarm = self._part(m, stop, "alarm", Alarm(sources=len(upsets) + 1))
        m.d.comb += [
            alarm.upset[:-1].eq(Cat(upsets)),
            alarm.running.eq(control.status.busy),
            alarm.pc.eq(dispatch.oldest),
            control.alarm.eq(alarm.error),
        ]
        return alarm

    def _build_halt(self, m: Module, pipeline: Pipeline, halt: Value, alarm: Alarm | None) -> Signal:
        """A register for each part, because much of it hangs on ``halt``; an ``alarm`` does not wait for it, and is one
        if they differ. Returns whether all parts are told: a burst may begin in the cycle before."""
        fetch, dispatch, lines, units = pipeline
        parts: dict[str, Fetch | Dispatch | IssueQueue | Unit] = {"fetch": fetch, "dispatch": dispatch}
        for queue in Queue:
            name = queue.name.lower()
            parts |= {f"queue_{name}": lines[queue], name: units[queue]}
        told = Signal(name="halted", init=1)
        m.d.sync += told.eq(halt)
        # Kept apart: equal registers would become one again.
        registers = {name: Signal(name=f"halt_{name}", init=1, attrs={"keep": "true"}) for name in parts}
        for name, part in parts.items():
            m.d.sync += registers[name].eq(halt)
            m.d.comb += part.halt.eq(registers[name] if alarm is None else registers[name] | alarm.halt)
        if alarm is not None:
            m.d.comb += alarm.upset[-1].eq(Cat(register ^ told for register in registers.values()).any())
        return told

    def _build_queues(self, m: Module, pipeline: Pipeline, tokens: Tokens) -> None:
        """Fetch -> dispatch -> queue -> unit, and the tokens between the queues."""
        fetch, dispatch, lines, units = pipeline
        wiring.connect(m, fetch.o, dispatch.i)
        for queue, line in lines.items():
            name, unit = queue.name.lower(), units[queue]
            wiring.connect(m, getattr(dispatch, name), line.i)
            wiring.connect(m, line.o, unit.i)
            m.d.comb += [
                line.done.eq(unit.done),
                line.available.eq(getattr(tokens, f"available_{name}")),
                line.overflow.eq(getattr(tokens, f"overflow_{name}")),
                getattr(tokens, f"take_{name}").eq(line.take),
                getattr(tokens, f"give_{name}").eq(line.give),
                self.trace_issue[queue].eq(line.issue),
                self.trace_issue_pc.word_select(int(queue), isa.PC_BITS).eq(line.head_pc),
                self.trace_done[queue].eq(line.complete),
            ]

    def _build_idle(self, m: Module, pipeline: Pipeline) -> None:
        """From what dispatch sees that the program is done, or that no queue will ever move again."""
        fetch, dispatch, lines, units = pipeline
        queues = lines.values()
        m.d.comb += [
            dispatch.exhausted.eq(fetch.finished),
            dispatch.queued.eq(Cat(line.queued for line in queues)),
            dispatch.waiting.eq(Cat(line.missing.any() for line in queues)),
            dispatch.idle.eq(
                ~Cat(*(line.active for line in queues), *(unit.busy for unit in units.values())).any()
            ),
            dispatch.heads.eq(Cat(line.head_pc for line in queues)),
        ]

    def _build_commands(self, m: Module, registers: Registers, control: Control) -> None:
        for name in ("start", "reset", "clear_interrupt", "interrupt_enable"):
            m.d.comb += getattr(control, name).eq(getattr(registers, name))

    def _build_limit(
        self, m: Module, limit: CycleLimit, registers: Registers, control: Control, dispatch: Dispatch
    ) -> None:
        m.d.comb += [
            limit.limit.eq(registers.cycle_limit),
            limit.clear.eq(control.clear),
            limit.running.eq(control.running),
            limit.pc.eq(dispatch.oldest),
        ]

    def _build_errors(
        self,
        m: Module,
        control: Control,
        flush: Value,
        sources: Sequence[Unit | Fetch | Dispatch | IssueQueue | CycleLimit],
    ) -> None:
        """One cycle later: some reports come at the end of long paths, and a unit that met an error stops by itself."""
        for number, source in enumerate(sources):
            report = source.error
            kept = Signal.like(report, name=f"error_{number}", reset_less=True)
            m.d.sync += [kept.eq(report), kept.valid.eq(report.valid & ~flush)]
            m.d.comb += getattr(control, f"error_{number}").eq(kept)

    def _build_control(
        self,
        m: Module,
        control: Control,
        registers: Registers,
        counters: Counters,
        fetch: Fetch,
        finished: Value,
        drained: Value,
        stop: Stop,
    ) -> None:
        """Control sees when the machine is done and says to it what to do; the host sees both and the counters."""
        m.d.comb += [
            control.finished.eq(finished),
            control.drained.eq(drained),
            registers.status.eq(control.status),
            registers.counter_value.eq(counters.value),
            counters.index.eq(registers.counter_index),
            counters.enable.eq(control.running),
            counters.clear.eq(control.clear),
            fetch.start.eq(control.begin),
            stop.halt.eq(control.halt),
            stop.flush.eq(control.flush),
            self.irq.eq(control.interrupt),
        ]

    def _events(
        self,
        control: Control,
        fetch: Fetch,
        dispatch: Dispatch,
        load: LoadUnit,
        matrix: MatrixUnit,
        vector: VectorUnit,
        store: StoreUnit,
        lines: Mapping[Queue, IssueQueue],
        memories: Mapping[str, Scratchpad],
    ) -> dict[str, Value]:
        """The event of each counter."""
        events = self._matrix_events(matrix, lines[Queue.MATRIX])
        for queue in (Queue.LOAD, Queue.VECTOR, Queue.STORE):
            line, name = lines[queue], queue.name.lower()
            events |= {f"{name}_busy": line.active, f"{name}_wait_token": line.missing.any()}
        for name, memory in memories.items():
            events |= {f"{name}_reads": memory.read, f"{name}_writes": memory.write}
        del events["p_writes"]  # the beats of LOAD say it
        return events | {
            "cycles": control.running,
            "instructions": dispatch.dispatched,
            "load_beats": load.events.beat,
            "fetch_beats": fetch.events.beat,
            "store_beats": store.events.beat,
            "norm_columns": vector.events.norm_column,
        }

    def _matrix_events(self, matrix: MatrixUnit, queue: IssueQueue) -> dict[str, Value]:
        """Of the matrix unit. A cycle without a word for the array has one cause: these exclude each other and
        array_busy."""
        unit = matrix.events
        idle = ~(unit.busy | unit.stall_readout | unit.stall_parameters)
        events: dict[str, Value] = {}
        for q in Queue:
            lower = queue.missing & ((1 << q) - 1)
            events[f"matrix_wait_{q.name.lower()}"] = idle & queue.missing[q] & ~lower.any()
        return events | {
            "array_busy": unit.busy,
            "matrix_stall_readout": unit.stall_readout,
            "matrix_stall_parameters": unit.stall_parameters,
            "matrix_empty": ~(queue.queued | queue.active),
            "s_reads": unit.s_read,
            "s_writes": unit.s_write,
            "readout_columns": unit.readout_column,
            "activation_columns": unit.activation_column,
            "score_columns": unit.score_column,
        }

    def _build_counters(self, m: Module, counters: Counters, events: Mapping[str, Value]) -> None:
        names = [name for name, _ in isa.COUNTERS]
        assert sorted(events) == sorted(names), "every counter of spec.isa has one event here"
        m.d.comb += counters.events.eq(Cat(events[name] for name in names))
