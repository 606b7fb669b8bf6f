"""Streams between memory and DRAM: what is offered holds, and everything arrives once, in order, at its place."""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, Signal

from campaigns.formal.harness import UnitTop, assert_holds, assume_holds, constant, past, past_when
from campaigns.formal.prover import inductive
from campaigns.mutants.mutation import Mutation
from vitreous.hw.axi.axi import ReadChannel
from vitreous.hw.axi.bursts import BurstGenerator, RowWalker
from vitreous.hw.axi.gearbox import BeatsToWords, WordsToBeats
from vitreous.hw.load.patches import PatchUnfolder
from vitreous.hw.load.pixel_rows import PixelRows
from vitreous.hw.load.write_queue import WriteQueue
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, QueueConfig
from vitreous.spec.isa import Memory
from vitreous.spec.layout import word_bytes
from vitreous.spec.limits import AXI_PAGE_BYTES

BURST_BEATS = 16


def small(depth: int) -> AcceleratorConfig:
    """4 lanes and a bus of 8 bytes: words of X have ``4 * depth`` bytes, words of R 8."""
    return AcceleratorConfig(array=ArrayConfig(lanes=4, depth=depth), queue=QueueConfig(depth=2))


def _check_rows(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """A region of n rows gives exactly n, ``stride`` apart, and nothing without one."""
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")
    left, offset = Signal(16), Signal(33)
    region = Signal.like(unit.i.payload, name="region")
    taken, given = unit.i.valid & unit.i.ready, unit.o.valid & unit.o.ready
    with m.If(given):
        m.d.sync += [left.eq(left - 1), offset.eq(offset + region.stride)]
    with m.If(taken):
        m.d.sync += [
            region.eq(unit.i.payload),
            left.eq(unit.i.payload.rows),
            offset.eq(unit.i.payload.offset),
        ]
    m.d.comb += [
        Assert(registers["left"] == left),
        Assert((left == 0) | (registers["stride"] == region.stride)),
        Assert(unit.o.valid == (left != 0)),
        Assert(~taken | (left == 0)),
        Assert(~unit.o.valid | (unit.o.payload.offset == offset)),
        Assert(~unit.o.valid | (unit.o.payload.bytes == region.bytes)),
    ]


def _check_bursts(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """The bursts of a row follow each other, cover its bytes with whole beats and cross no page."""
    m.d.comb += [Assume(~unit.halt), Assume(unit.base[:3] == 0), Assume(unit.i.payload.offset[:3] == 0)]
    m.d.comb += Assume(unit.i.payload.bytes != 0)
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")
    left, address = Signal(22), Signal(32)
    move, beats = registers["move"], Signal(9)
    arrives = unit.i.valid & unit.i.ready
    row = past_when(m, arrives, unit.i.payload, "row")
    place = past_when(m, arrives, (unit.base + unit.i.payload.offset)[:32], "place")
    begins, beyond = registers["take"], row.offset + row.bytes > unit.size
    taken = begins & ~beyond
    m.d.comb += beats.eq(Mux(move, registers["beats"], 0))
    m.d.sync += [left.eq(left - beats), address.eq(address + (beats << 3))]
    with m.If(taken):
        m.d.sync += [left.eq((row.bytes + 7) >> 3), address.eq(place)]
    moved = past(m, move, name="moved")
    _check_next_burst(m, registers, left, address)
    length = Signal(10)
    m.d.comb += [
        length.eq(unit.o.payload.length + 1),
        Assert(registers["active"] == (left != 0)),
        Assert((left == 0) | ((registers["address"] == address) & (address[:3] == 0))),
        Assert(begins == (registers["row_held"] & ((left == 0) | (move & (left == beats))))),
        Assert(~registers["row_held"] | (registers["row_address"] == place)),
        Assert(~registers["row_held"] | ((place[:3] == 0) & (row.bytes != 0))),
        Assert(~registers["row_held"] | (registers["row_beats"] == (row.bytes + 7) >> 3)),
        Assert(~registers["row_held"] | (registers["row_end"] == row.offset + row.bytes)),
        Assert(~move | ((beats != 0) & (beats <= left))),
        Assert(~moved | unit.o.valid | unit.strayed),
        Assert(~(unit.o.valid & unit.strayed)),
        Assert(~moved | (unit.o.payload.address == past(m, address, name="address"))),
        Assert(~moved | (length == past(m, beats, name="beats"))),
        Assert(~unit.o.valid | (length <= BURST_BEATS)),
        Assert(~unit.o.valid | (unit.o.payload.address[:3] == 0)),
        Assert(~unit.o.valid | (unit.o.payload.address[:12] + (length << 3) <= AXI_PAGE_BYTES)),
        Assert(unit.outside == (begins & beyond)),
    ]


def _check_next_burst(m: Module, registers: dict[str, Signal], left: Signal, address: Signal) -> None:
    """What the generator keeps of the burst after the next one: of a row of ``left`` beats from ``address`` on."""
    beats, last = registers["beats"], registers["last"]
    following, whole = Signal(32), Signal(10)
    m.d.comb += [
        following.eq(address + (beats << 3)),
        whole.eq((AXI_PAGE_BYTES - following[:12]) >> 3),
        Assert((left == 0) | (last == (left == beats))),
        Assert((left == 0) | ((beats != 0) & (beats <= BURST_BEATS) & (beats <= left))),
        Assert((left == 0) | (address[:12] + (beats << 3) <= AXI_PAGE_BYTES)),
    ]
    with m.If((left != 0) & ~last):
        m.d.comb += [
            Assert(registers["next_left"] == left - beats),
            Assert(registers["next_place"] == following[3:7]),
            Assert(registers["next_block"] == following[7:12]),
            Assert(registers["next_longest"] == Mux(whole < BURST_BEATS, whole, BURST_BEATS)),
        ]


def _check_hold(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """The output holds until it is taken."""
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")


def _check_queue(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Two words in order, of which the older one is offered and held."""
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")
    taken, given = unit.i.valid & unit.i.ready, unit.o.valid & unit.o.ready
    level = Signal(2)
    older, newer = Signal.like(unit.i.payload, name="older"), Signal.like(unit.i.payload, name="newer")
    m.d.sync += level.eq(level + taken - given)
    with m.If(given):
        m.d.sync += older.eq(newer)
    with m.If(taken & (level == given)):
        m.d.sync += older.eq(unit.i.payload)
    with m.If(taken & (level != given)):
        m.d.sync += newer.eq(unit.i.payload)
    get, put = registers["get"], registers["put"]
    words = [registers[f"word_{n}"] for n in range(2)]
    m.d.comb += [
        Assert(level <= 2),
        Assert(registers["valid_0"] + registers["valid_1"] == level),
        Assert((level != 1) | (Mux(get, registers["valid_1"], registers["valid_0"]))),
        Assert((put ^ get) == level[0]),
        Assert(unit.i.ready == (level != 2)),
        Assert(unit.o.valid == (level != 0)),
        Assert(~unit.o.valid | (unit.o.payload == older)),
        Assert((level != 2) | (Mux(get, words[0], words[1]) == newer.as_value())),
    ]


def _check_channel(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """AR holds; every request goes out once, with its client's id; every beat goes to the client of its id."""
    bus = unit.bus
    assume_holds(m, unit.fetch.burst, "fetch")
    assume_holds(m, unit.load.burst, "load")
    request = Cat(bus.araddr, bus.arlen, bus.arid)
    waits = past(m, bus.arvalid & ~bus.arready, name="waits")
    fetch, load = (client.burst.valid & client.burst.ready for client in (unit.fetch, unit.load))
    before = past(m, request, name="request")
    fetched = past(m, fetch, name="fetched")
    loaded = past(m, load, name="loaded")
    asked = past(
        m, Mux(fetch, unit.fetch.burst.payload.as_value(), unit.load.burst.payload.as_value()), name="asked"
    )
    m.d.comb += [
        Assert(~waits | (bus.arvalid & (request == before))),
        Assert(~(fetch & load)),
        Assert(bus.arvalid == (waits | fetched | loaded)),
        Assert(~(waits & (fetched | loaded))),
        Assert(~(fetched | loaded) | (request == Cat(asked, loaded))),
    ]
    for client, number in ((unit.fetch, 0), (unit.load, 1)):
        beat = client.beat
        m.d.comb += [
            Assert((beat.valid & beat.ready) == (bus.rvalid & bus.rready & (bus.rid == number))),
            Assert(bus.rready == (unit.fetch.beat.ready & unit.load.beat.ready)),
            Assert(~beat.valid | ((beat.payload.data == bus.rdata) & (beat.payload.last == bus.rlast))),
            Assert(~beat.valid | (beat.payload.error == bus.rresp[1])),
        ]


def _check_words(
    config: AcceleratorConfig, memory: Memory, m: Module, unit: Any, registers: dict[str, Signal], free: Any
) -> None:
    """Beats to words: a word follows one cycle after the step that completes it, with the bytes of its beats."""
    bits, word = config.bus.data_bits, 8 * word_bytes(config, memory)
    m.d.comb += [Assume(unit.memory == memory), Assume(unit.words != 0)]
    constant(m, unit.words, "words")
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")
    step = unit.i.valid & (~unit.o.valid | unit.o.ready)
    phase, place = Signal(), Signal(16)
    row_ends = place == unit.words - 1
    if word > bits:  # two beats a word
        word_ends, beat_ends = phase, Const(1)
        expected = Cat(past_when(m, step, unit.i.payload, "first"), unit.i.payload)
    else:  # two words a beat
        word_ends, beat_ends = Const(1), phase | row_ends
        expected = unit.i.payload.word_select(phase, word)
    with m.If(step):
        m.d.sync += phase.eq(Mux(word_ends & beat_ends, 0, ~phase))
        with m.If(word_ends):
            m.d.sync += place.eq(Mux(row_ends, 0, place + 1))
    made = past(m, step & word_ends, name="made")
    m.d.comb += [
        Assert((registers["position"] == phase) & (registers["count"] == place) & (place < unit.words)),
        Assert(unit.i.ready == (step & beat_ends)),
        Assert(unit.o.valid == (made | past(m, unit.o.valid & ~unit.o.ready, name="kept"))),
        Assert(~made | (unit.o.payload.data[:word] == past(m, expected, name="expected"))),
        Assert(~made | (unit.o.payload.last == past(m, row_ends, name="row_ends"))),
    ]
    if word > bits:  # the first beat of a word is already in the output register
        first = past_when(m, step, unit.i.payload, "gathered")
        m.d.comb += Assert(~phase | (unit.o.payload.data[:bits] == first))


def _check_beats(
    config: AcceleratorConfig, memory: Memory, m: Module, unit: Any, registers: dict[str, Signal], free: Any
) -> None:
    """Words to beats: a beat follows one cycle after the step that completes it; strobes are where data is."""
    bits, word = config.bus.data_bits, 8 * word_bytes(config, memory)
    source = unit.i.payload.data[:word]
    m.d.comb += Assume(unit.memory == memory)
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")
    step = unit.i.valid & (~unit.o.valid | unit.o.ready)
    phase = Signal()
    first = past_when(m, step, source, "first")
    if word > bits:  # two beats a word
        word_ends, beat_ends = phase, Const(1)
        expected, strobe = source.word_select(phase, bits), Const((1 << bits // 8) - 1)
        known = Const((1 << bits) - 1)
    else:  # two words a beat
        word_ends, beat_ends = Const(1), phase | unit.i.payload.last
        expected = Mux(phase, Cat(first, source), source)
        strobe = Mux(phase, (1 << bits // 8) - 1, (1 << word // 8) - 1)
        known = Mux(phase, (1 << bits) - 1, (1 << word) - 1)
        m.d.comb += Assert(~phase | (unit.o.payload.data[:word] == first))
    with m.If(step):
        m.d.sync += phase.eq(Mux(word_ends & beat_ends, 0, ~phase))
    made = past(m, step & beat_ends, name="made")
    wanted, mask = past(m, expected, name="expected"), past(m, known, name="known")
    m.d.comb += [
        Assert(registers["position"] == phase),
        Assert(unit.i.ready == (step & word_ends)),
        Assert(unit.o.valid == (made | past(m, unit.o.valid & ~unit.o.ready, name="kept"))),
        Assert(~made | (((unit.o.payload.data ^ wanted) & mask) == 0)),
        Assert(~made | (unit.o.payload.strobe == past(m, strobe, name="strobe"))),
    ]


_stream = partial(inductive, depth=3, bug_depth=8)


def _gearbox(kind: type, check: Any, depth: int) -> UnitTop:
    config = small(depth)
    return UnitTop(kind(config, memories=(Memory.X,)), partial(check, config, Memory.X))


_GATHER, _SPLIT = 4, 1  # words of 16 bytes and of 4, on a bus of 8

PROOFS = (
    _stream(
        "row_walker",
        "hw.axi.bursts.RowWalker",
        "a region of n rows gives n rows, in order, `stride` apart, none twice; `o` holds",
        lambda: UnitTop(RowWalker(), _check_rows),
        Mutation("protocol", "axi/bursts.py", "+= [next_left.eq(left - 1)", "+= [next_left.eq(left)"),
    ),
    _stream(
        "burst_generator",
        "hw.axi.bursts.BurstGenerator",
        "the bursts of a row cover its beats once, in order; at most 16 beats, never across 4 KiB; `o` holds; a row "
        "beyond the window is reported and makes none (bus of 8 bytes, no halt)",
        lambda: UnitTop(BurstGenerator(small(1), burst_beats=BURST_BEATS), _check_bursts),
        Mutation(
            "condition",
            "axi/bursts.py",
            "self._burst_beats - place, self._burst_beats",
            "self._burst_beats, self._burst_beats",
        ),
        bug_depth=5,
    ),
    _stream(
        "pixel_rows",
        "hw.load.pixel_rows.PixelRows",
        "`o` holds",
        lambda: UnitTop(PixelRows(), _check_hold),
        Mutation(
            "protocol",
            "load/pixel_rows.py",
            "with m.If(self.o.valid & self.o.ready):",
            "with m.If(self.o.valid):",
        ),
    ),
    _stream(
        "patch_unfolder",
        "hw.load.patches.PatchUnfolder",
        "`o` holds (4 lanes, 4 deep)",
        lambda: UnitTop(
            PatchUnfolder(small(4)), lambda m, unit, registers, free: assert_holds(m, unit.o, "o")
        ),
        Mutation("protocol", "load/patches.py", "with m.If(self.o.ready):", "with m.If(1):"),
        bug_depth=7,
    ),
    _stream(
        "write_queue",
        "hw.load.write_queue.WriteQueue",
        "words leave in the order in which they came, none dropped, duplicated or changed; `o` holds",
        lambda: UnitTop(WriteQueue(small(4)), _check_queue),
        Mutation(
            "protocol",
            "load/write_queue.py",
            "self.o.valid & self.o.ready",
            "self.o.valid",
        ),
    ),
    _stream(
        "read_channel",
        "hw.axi.axi.ReadChannel",
        "AR holds; every request goes out once with its client's id; every beat reaches the client of its id",
        lambda: UnitTop(ReadChannel(data_bits=64), _check_channel),
        Mutation(
            "condition",
            "axi/axi.py",
            "self.load.burst.ready.eq(free & ~self.fetch.burst.valid)",
            "self.load.burst.ready.eq(free)",
        ),
    ),
    _stream(
        "beats_to_words_gather",
        "hw.axi.gearbox.BeatsToWords",
        "every word has the bytes of its two beats, `last` on a row's last; nothing dropped or duplicated; `o` holds",
        lambda: _gearbox(BeatsToWords, _check_words, _GATHER),
        Mutation(
            "protocol",
            "axi/gearbox.py",
            "self.i.ready.eq(step & beat_ends),",
            "self.i.ready.eq(self.i.valid),",
        ),
    ),
    _stream(
        "beats_to_words_split",
        "hw.axi.gearbox.BeatsToWords",
        "every word is its half of its beat, a row begins with a new beat; nothing dropped or duplicated; `o` holds",
        lambda: _gearbox(BeatsToWords, _check_words, _SPLIT),
        Mutation(
            "condition",
            "axi/gearbox.py",
            "(position == ratios.final) | row_ends)",
            "(position == ratios.final))",
        ),
    ),
    _stream(
        "words_to_beats_split",
        "hw.axi.gearbox.WordsToBeats",
        "every word is two beats, low bytes first, all strobes; nothing dropped or duplicated; `o` holds",
        lambda: _gearbox(WordsToBeats, _check_beats, _GATHER),
        Mutation(
            "protocol", "axi/gearbox.py", "self.i.ready.eq(step & word_ends),", "self.i.ready.eq(step),"
        ),
    ),
    _stream(
        "words_to_beats_gather",
        "hw.axi.gearbox.WordsToBeats",
        "every beat has its two words, or a row's last one with its strobes alone; nothing dropped; `o` holds",
        lambda: _gearbox(WordsToBeats, _check_beats, _SPLIT),
        Mutation(
            "width",
            "axi/gearbox.py",
            "filled = (1 << (slot + 1) * word // 8) - 1",
            "filled = (1 << bits // 8) - 1",
        ),
    ),
)
