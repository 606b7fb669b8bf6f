"""Streams of whole units: readers, writers, fetch and the AXI channels of the top's bursts."""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, Signal
from amaranth.lib import data

from campaigns.formal.harness import UnitTop, assert_holds, assert_in_order, assume_holds, count, past
from campaigns.formal.prover import bounded, inductive
from campaigns.formal.transfers import small
from campaigns.mutants.mutation import Mutation
from vitreous.hw.control.fetch import Fetch
from vitreous.hw.load.load import LoadUnit
from vitreous.hw.load.load_back import LoadBack
from vitreous.hw.load.load_front import LoadFront
from vitreous.hw.matrix.packer import Packer
from vitreous.hw.memory.ports import instruction_layout
from vitreous.hw.store.store import StoreUnit
from vitreous.hw.store.store_words import WordReader
from vitreous.hw.vector.words import NormWords
from vitreous.spec.isa import PC_BITS, Memory, Opcode


def _check_packer(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """A word holds each column at its place and zero where none came yet."""
    depth, lanes = unit.depth, unit.lanes
    word = [[Signal(8, name=f"expected_{lane}_{v}") for v in range(depth)] for lane in range(lanes)]
    begun = Signal()
    with m.If(unit.valid):
        m.d.sync += begun.eq(begun | (unit.index == 0))
        for lane in range(lanes):
            for v in range(depth):
                with m.If(unit.index == v):
                    m.d.sync += word[lane][v].eq(unit.column[lane])
                with m.Elif(unit.index == 0):
                    m.d.sync += word[lane][v].eq(0)
    expected = Cat(*(element for row in word for element in row))
    with m.If(begun):
        m.d.comb += Assert(unit.o == expected)


def _check_reader(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Word by word, row by row: addresses as the instruction says, words in the order of the addresses."""
    fields = unit.i.payload
    m.d.comb += [Assume(~unit.halt), Assume(fields.memory == Memory.X)]
    m.d.comb += [Assume(~unit.i.valid | ((fields.rows != 0) & (fields.words != 0)))]
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")
    m.d.comb += [Assert(~unit.w.valid), Assert(~unit.r.valid)]
    taken = unit.i.valid & unit.i.ready
    granted = unit.x.valid & unit.x.ready & ~unit.x.fault
    kept = Signal.like(fields, name="kept")
    rows, word, base, active = Signal(16), Signal(16), Signal(18), Signal()
    last = word + 1 == kept.words
    with m.If(granted):
        m.d.sync += word.eq(Mux(last, 0, word + 1))
        with m.If(last):
            m.d.sync += [base.eq(base + kept.stride), rows.eq(rows - 1), active.eq(rows != 1)]
    with m.If(taken):
        m.d.sync += [kept.eq(fields), rows.eq(fields.rows), base.eq(fields.base), word.eq(0), active.eq(1)]
    m.d.comb += [
        Assert(~taken | ~active),
        Assert(~unit.x.valid | active),
        Assert(~unit.x.valid | (unit.x.addr == (base + word)[:18])),
    ]
    arrives, ends = past(m, granted, name="arrives"), past(m, last, name="ends")
    gone = unit.o.valid & unit.o.ready
    read = Cat(unit.x.data, Const(0, len(unit.o.payload.data) - len(unit.x.data)), ends)
    puts, takes = assert_in_order(m, arrives, read, gone, unit.o.payload.as_value(), free.chosen, "word")
    m.d.comb += Assert(unit.o.valid | (puts == takes))


def _check_norm_words(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Reserved places hold: every pushed word is written once, in order, to ascending addresses."""
    pushed, reserved = Signal(4), Signal(4)  # reserved and not pushed; reserved and not written
    granted = unit.xo.valid & unit.xo.ready & ~unit.xo.fault
    m.d.comb += [
        Assume(~unit.pool & ~unit.stop),
        Assume(~unit.reserve | unit.room),
        Assume(~unit.push | (pushed != 0)),
        Assume(~unit.start | unit.empty),
        Assume(~(unit.start & unit.reserve)),
        Assert(~unit.ro.valid),
        Assert(unit.empty == (reserved == 0)),
        Assert(reserved <= unit.depth),
    ]
    m.d.sync += [
        pushed.eq(pushed + unit.reserve - unit.push),
        reserved.eq(reserved + unit.reserve - granted),
    ]
    port = Cat(unit.xo.addr, unit.xo.data)
    waits = past(m, unit.xo.valid & ~granted & ~unit.start, name="waits")
    m.d.comb += Assert(~waits | (unit.xo.valid & (port == past(m, port, name="port"))))
    puts, takes = assert_in_order(m, unit.push, unit.word, granted, unit.xo.data, free.chosen, "word")
    m.d.comb += Assert(unit.xo.valid | (puts == takes))


def _check_load_front(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """A command is handed on unchanged, or reported; at most one is inside; rows and commands hold."""
    m.d.comb += Assume(~unit.halt)
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")
    assert_holds(m, unit.row, "row")
    taken, given = unit.i.valid & unit.i.ready, unit.o.valid & unit.o.ready
    failed, inside = Signal(), Signal()
    kept = Signal.like(unit.i.payload, name="kept")
    error = unit.illegal | unit.misaligned
    m.d.sync += failed.eq(failed | error)
    with m.If(given):
        m.d.sync += inside.eq(0)
    with m.If(taken):
        m.d.sync += [inside.eq(1), kept.eq(unit.i.payload)]
    m.d.comb += [
        Assert(~taken | ~inside),
        Assert(~unit.o.valid | (inside & (unit.o.payload == kept))),
        Assert(~error | (inside & (unit.pc == kept.pc))),
        Assert(~(error & unit.o.valid)),
    ]


def _check_load_back(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Writes hold until their port takes them; one port at a time; no write outside a command. The last words of two
    commands may wait while a third one has begun."""
    m.d.comb += Assume(~unit.halt)
    assume_holds(m, unit.i, "i")
    assume_holds(m, unit.beat, "beat")
    ports = (unit.xo, unit.wo, unit.ro, unit.po)
    for index, port in enumerate(ports):
        write = Cat(port.addr, port.data, *([port.mask] if port is unit.xo else []))
        waits = past(m, port.valid & ~port.ready, name=f"waits_{index}")
        m.d.comb += Assert(~waits | (port.valid & (write == past(m, write, name=f"write_{index}"))))
    active = Signal(3)
    m.d.sync += active.eq(active + (unit.i.valid & unit.i.ready) - unit.done)
    valid = Cat(port.valid for port in ports)
    m.d.comb += [
        Assert((valid & (valid - 1)[:4]) == 0),
        Assert((valid == 0) | (active != 0)),
        Assert(~unit.done | (active != 0)),
        Assert(unit.busy == (active != 0)),
        Assert(active <= 3),
    ]


def _check_fetch(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Requests and commands hold; a beat always has room; commands are the beats in order, with ascending pc."""
    burst, beat = unit.bus.burst, unit.bus.beat
    once = count(m, unit.start, 1, "started")
    m.d.comb += [Assume(~unit.halt), Assume(~(unit.start & once)), Assume(unit.base[:6] == 0)]
    m.d.comb += [Assume(unit.offset[:6] == 0), Assume(unit.length <= 1 << PC_BITS)]
    for name in ("base", "size", "offset", "length"):
        value = getattr(unit, name)
        m.d.comb += Assume(~past(m, 1, name=f"{name}_begun") | (value == past(m, value, name=name)))
    asked = Signal(12)  # beats asked for that have not come
    wanted = Mux(burst.valid & burst.ready, burst.payload.length + 1, 0)
    m.d.sync += asked.eq(asked + wanted - beat.valid)
    m.d.comb += [Assume(~beat.valid | (asked != 0)), Assume(~beat.valid | ~beat.payload.error)]
    assert_holds(m, burst, "burst", past(m, unit.error.valid, name="error") | unit.error.valid)
    assert_holds(m, unit.o, "o")
    m.d.comb += [Assert(beat.ready), Assert(unit.drained == (asked == 0)), Assert(asked <= 32)]
    arrived = Signal(5)
    gathered = Signal(256)
    m.d.sync += arrived.eq(arrived + beat.valid)
    with m.If(beat.valid):
        m.d.sync += gathered.eq(Cat(gathered[64:], beat.payload.data))
    whole = beat.valid & (arrived[:2] == 3)
    command = Cat(gathered[64:], beat.payload.data)
    taken = unit.o.valid & unit.o.ready
    _, takes = assert_in_order(m, whole, command, taken, unit.o.payload.word, free.chosen, "command")
    m.d.comb += Assert(~unit.o.valid | (unit.o.payload.pc[:3] == takes))


def _check_read_bursts(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Load: requests hold, at most ``outstanding_reads`` are unanswered, and ``drained`` says when none is."""
    burst, beat = unit.bus.burst, unit.bus.beat
    m.d.comb += Assume(~unit.halt)
    assume_holds(m, unit.i, "i")
    stopped = Signal()
    m.d.sync += stopped.eq(stopped | unit.error.valid)
    assert_holds(m, burst, "burst", stopped)
    open_bursts = Signal(5)
    m.d.sync += open_bursts.eq(
        open_bursts + (burst.valid & burst.ready) - (beat.valid & beat.ready & beat.payload.last)
    )
    m.d.comb += [
        Assume(~beat.valid | (open_bursts != 0)),
        Assert(open_bursts <= 8),
        Assert(unit.drained == (open_bursts == 0)),
        Assert(~(stopped & burst.valid)),
    ]


def _check_write_bursts(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Store: AW and W hold, also after a stop; each burst gets exactly its beats, the last one marked."""
    bus = unit.bus
    assume_holds(m, unit.i, "i")
    aw, w = Cat(bus.awaddr, bus.awlen), Cat(bus.wdata, bus.wstrb, bus.wlast)
    for name, payload, valid, ready in (
        ("aw", aw, bus.awvalid, bus.awready),
        ("w", w, bus.wvalid, bus.wready),
    ):
        waits = past(m, valid & ~ready, name=f"{name}_waits")
        m.d.comb += Assert(~waits | (valid & (payload == past(m, payload, name=name))))
    sent, ended = bus.wvalid & bus.wready, bus.wvalid & bus.wready & bus.wlast
    # An address enters its register in the cycle in which its length enters the queue of the data channel.
    fresh = bus.awvalid & ~past(m, bus.awvalid & ~bus.awready, name="old")
    beats = Signal(8)
    with m.If(sent):
        m.d.sync += beats.eq(Mux(bus.wlast, 0, beats + 1))
    item, result = bus.awlen, Mux(sent, beats, 0)
    begun, _ = assert_in_order(m, fresh, item, ended, result, free.chosen, "burst")
    answered = count(m, bus.bvalid, len(begun), "answered")
    addressed = count(m, bus.awvalid & bus.awready, len(begun), "addressed")
    complete = count(m, ended, len(begun), "complete")
    # A response comes for a burst whose address and last beat are there.
    m.d.comb += Assume(~bus.bvalid | ((answered != addressed) & (answered != complete)))
    m.d.comb += [Assert(unit.drained == ((begun == answered) & ~fresh)), Assert(bus.bready)]
    legal = Signal()
    fields = data.View(instruction_layout(Opcode.STORE), unit.i.payload.word)
    m.d.comb += [legal.eq(fields.memory <= Memory.R), Assume(~unit.i.valid | legal)]


def _top(kind: type, check: Any, chosen: int = 3) -> Any:
    return partial(_build, kind, check, chosen)


def _build(kind: type, check: Any, chosen: int) -> UnitTop:
    return UnitTop(kind(small(1)), check, **({"chosen": chosen} if chosen else {}))


PROOFS = (
    inductive(
        "packer",
        "hw.matrix.packer.Packer",
        "a word has each column at its place and padding where none came (4 lanes of 8 bits, 4 deep)",
        lambda: UnitTop(Packer(small(4)), _check_packer),
        Mutation("state", "matrix/packer.py", "Mux(start, 0, element) if v else element", "element"),
        depth=2,
        bug_depth=5,
    ),
    bounded(
        "word_reader",
        "hw.store.store_words.WordReader",
        "addresses are `base + row * stride + word`; words leave in that order, none dropped or duplicated; `o` holds",
        _top(WordReader, _check_reader),
        Mutation("timing", "store/store_words.py", "queue.w_en.eq(reading)", "queue.w_en.eq(granted)"),
        depth=10,
    ),
    bounded(
        "norm_words",
        "hw.vector.words.NormWords",
        "a reserved place is there when its word comes; words are written once, in order; the write holds "
        "(4 places)",
        lambda: UnitTop(NormWords(small(4)), _check_norm_words, chosen=4),
        Mutation(
            "condition", "vector/words.py", "written.eq(granted & ~self.fault)", "written.eq(self.xo.ready)"
        ),
        depth=9,
    ),
    bounded(
        "load_front",
        "hw.load.load_front.LoadFront",
        "each command is handed on once, unchanged, or reported; `o` and `row` hold (no halt)",
        _top(LoadFront, _check_load_front, 0),
        Mutation(
            "state",
            "load/load_front.py",
            "with m.If(rows.i.ready & pixels.i.ready & ~self.halt):",
            "with m.If(1):",
        ),
        depth=12,
    ),
    bounded(
        "load_back",
        "hw.load.load_back.LoadBack",
        "a write holds until its port takes it, one port at a time, none outside a command (no halt)",
        _top(LoadBack, _check_load_back, 0),
        Mutation(
            "protocol",
            "load/load_back.py",
            "writes.o.ready.eq(valid & ready & ~fault)",
            "writes.o.ready.eq(valid)",
        ),
        depth=12,
    ),
    bounded(
        "fetch",
        "hw.control.fetch.Fetch",
        "requests and commands hold; asked-for beats always have room; commands are the beats in order (8-byte bus)",
        _top(Fetch, _check_fetch),
        Mutation("condition", "control/fetch.py", "with m.If(final):", "with m.If(position[1]):"),
        depth=13,
    ),
    bounded(
        "read_bursts",
        "hw.load.load.LoadUnit",
        "requests hold; at most 8 bursts are unanswered; `drained` is right; none begins after an error",
        _top(LoadUnit, _check_read_bursts, 0),
        Mutation(
            "condition",
            "load/load.py",
            "answered = self.events.beat & self.bus.beat.payload.last",
            "answered = self.events.beat",
        ),
        depth=14,
    ),
    bounded(
        "write_bursts",
        "hw.store.store.StoreUnit",
        "AW and W hold, also when halted; every burst has exactly its beats, the last one marked; `drained` is right",
        _top(StoreUnit, _check_write_bursts),
        Mutation(
            "condition",
            "store/store.py",
            "last.eq(sent == lengths.r_data)",
            "last.eq(sent + 1 == lengths.r_data)",
        ),
        depth=14,
    ),
)
