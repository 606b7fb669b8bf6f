"""LOAD_PATCHES: pixel rows are unfolded into a panel of X by byte-masked writes (docs/machine.md)."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from vitreous.hw.memory.ports import WORD_ADDRESS_BITS, instruction_layout
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig

_PATCHES = instruction_layout(isa.Opcode.LOAD_PATCHES)


class MaskedWord(data.StructLayout):
    """``depth`` bytes for the lanes of a panel word, the mask that selects one lane and some of its bytes,
    ``last`` of the instruction."""

    def __init__(self, config: AcceleratorConfig) -> None:
        super().__init__(
            {
                "addr": WORD_ADDRESS_BITS,
                "data": 8 * config.array.depth,
                "mask": config.panel_word_bytes,
                "last": 1,
            }
        )


class _Plan(NamedTuple):
    """Registers of the step that follows: it needs its beat and a free output, and nothing that is still computed.

    valid : there is one. byte, count : the first byte of the beat, how many. inner, lane, addr : where they go in a
    word, the lane and the word. next_beat : the beat ends, or its row. last : of the instruction. closes : of a token.
    """

    valid: Signal
    byte: Signal
    count: Signal
    inner: Signal
    lane: Signal
    addr: Signal
    next_beat: Signal
    last: Signal
    closes: Signal


class PatchUnfolder(wiring.Component):
    """Pixel rows -> masked writes: byte ``x`` of patch row (token, c, y) goes to k = (c*patch + y)*patch + x
    of the token's lane; the token's last write has zeros up to the end of its word.

    Latency: ``START_LATENCY`` cycles to the first step (the product ``first_token // N * stride``, and what the step
    does), one to its write. Throughput: up to
    V bytes of one patch row a cycle; a write ends where the patch row, the panel word or the beat ends.
    Back-pressure: holds its write.

    Parameters
    ----------
    config : N, V and the size of a beat; with ``protect.parity`` there is a member ``upset``.

    Members
    -------
    command : In(stream.Signature(LOAD_PATCHES)), taken when the previous instruction is done.
    i : In(stream.Signature(data_bits)), the beats of the pixel rows in the order of ``PixelRows``; a row
        starts with a new beat.
    o : Out(stream.Signature(MaskedWord(config))).
    """

    START_LATENCY = 4
    """From ``command`` to the first step."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self._config = config
        super().__init__(
            {
                "command": In(stream.Signature(_PATCHES)),
                "i": In(stream.Signature(config.bus.data_bits)),
                "o": Out(stream.Signature(MaskedWord(config))),
            }
            | upset_member(config.protect.parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, depth = self._config.array.lanes, self._config.array.depth
        lane_bits, depth_bits = lanes.bit_length() - 1, depth.bit_length() - 1
        guard = Guard(m, on=self._config.protect.parity)
        fields, next_fields = guard.register(
            Signal(_PATCHES, name="fields", reset_less=not guard.on),
            covered=sum(f.width for f in isa.layout(isa.Opcode.LOAD_PATCHES)),
        )
        guard.report(self)
        self._fields = fields
        plan = self._registers()
        step = self._build_step(m, plan)
        self._patch_left = Signal(8)  # bytes of the patch row that are still to come
        # Where the next byte goes: k of the token, its lane and the first word of its tile; the same at the
        # start of the band.
        self._k, self._row_k = (
            Signal(WORD_ADDRESS_BITS + depth_bits, name="k"),
            Signal(WORD_ADDRESS_BITS + depth_bits, name="row_k"),
        )
        self._lane, self._band_lane = Signal(lane_bits, name="lane"), Signal(lane_bits, name="band_lane")
        self._tile, self._band_tile = (
            Signal(WORD_ADDRESS_BITS, name="tile"),
            Signal(WORD_ADDRESS_BITS, name="band_tile"),
        )

        product = Signal(2 * isa.ADDRESS_BITS, reset_less=True)
        advance = Signal(name="advance")
        all_end = self._build_walk(m, plan, advance)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += self.command.ready.eq(1)
                m.d[guard.domain] += next_fields.eq(self.command.payload)
                with m.If(self.command.valid):
                    m.next = "Multiply"
            with m.State("Multiply"):
                m.d.sync += product.eq(fields.first_token[lane_bits:] * fields.stride)
                m.next = "Place"
            with m.State("Place"):
                self._build_first(m, product)
                m.next = "Unfold"
            with m.State("Unfold"):
                m.d.comb += advance.eq(~plan.valid | step)
                with m.If(advance):
                    m.d.sync += plan.valid.eq(1)
                    with m.If(all_end):
                        m.next = "Finish"
            with m.State("Finish"):
                with m.If(step):
                    m.next = "Idle"
        return m

    def _build_first(self, m: Module, product: Signal) -> None:
        """Where the first token goes. A product beyond every memory is cut to an address that is beyond it too."""
        fields, lane_bits = self._fields, len(self._lane)
        first = Signal(WORD_ADDRESS_BITS)
        far = product[isa.ADDRESS_BITS :].any()
        m.d.comb += first.eq(fields.base + Mux(far, 1 << isa.ADDRESS_BITS, product[: isa.ADDRESS_BITS]))
        m.d.sync += [
            self._tile.eq(first),
            self._band_tile.eq(first),
            self._lane.eq(fields.first_token[:lane_bits]),
            self._band_lane.eq(fields.first_token[:lane_bits]),
            *(self._k.eq(0), self._row_k.eq(0), self._patch_left.eq(fields.patch)),
        ]

    def _registers(self) -> _Plan:
        depth, lanes = self._config.array.depth, self._config.array.lanes
        return _Plan(
            valid=Signal(name="plan"),
            byte=Signal(range(self._config.bus.beat_bytes), name="plan_byte", reset_less=True),
            count=Signal(range(depth + 1), name="plan_count", reset_less=True),
            inner=Signal(exact_log2(depth), name="plan_inner", reset_less=True),
            lane=Signal(exact_log2(lanes), name="plan_lane", reset_less=True),
            addr=Signal(WORD_ADDRESS_BITS, name="plan_addr", reset_less=True),
            next_beat=Signal(name="plan_next_beat", reset_less=True),
            last=Signal(name="plan_last", reset_less=True),
            closes=Signal(name="plan_closes", reset_less=True),
        )

    def _build_step(self, m: Module, plan: _Plan) -> Signal:
        """A step makes its write. Returns whether it does."""
        step = Signal(name="step")
        m.d.comb += [
            step.eq(self.i.valid & plan.valid & (~self.o.valid | self.o.ready)),
            self.i.ready.eq(step & plan.next_beat),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(step):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.last.eq(plan.last), plan.valid.eq(0)]
            self._build_write(m, plan)
        return step

    def _build_walk(self, m: Module, plan: _Plan, advance: Signal) -> Value:
        """Plan one step: its bytes and its place; with ``advance`` it goes to ``plan`` and every counter moves on.
        Returns: it is the instruction's last one."""
        fields, beat = self._fields, self._config.bus.beat_bytes
        y = Signal(_PATCHES["patch"].shape)
        channel = Signal(_PATCHES["channels"].shape)
        column, band = (
            Signal(_PATCHES["grid_columns"].shape, name="column"),
            Signal(_PATCHES["grid_rows"].shape, name="band"),
        )
        byte, beat_left = Signal(range(beat), name="byte"), Signal(range(beat + 1), name="beat_left")
        m.d.comb += beat_left.eq(beat - byte)
        count, patch_stops, beat_stops = self._build_count(m, beat_left)
        patch_ends, row_ends, plane_ends, band_ends, all_ends = (
            Signal(name=f"{n}_ends") for n in ("patch", "row", "plane", "band", "all")
        )
        m.d.comb += [
            patch_ends.eq(patch_stops),
            row_ends.eq(patch_ends & (column + 1 == fields.grid_columns)),
            plane_ends.eq(row_ends & (y + 1 == fields.patch)),
            band_ends.eq(plane_ends & (channel + 1 == fields.channels)),
            all_ends.eq(band_ends & (band + 1 == fields.grid_rows)),
        ]
        # Each counter steps where the one inside it ends, and starts again where it ends itself.
        nest = (
            (column, patch_ends, row_ends),
            (y, row_ends, plane_ends),
            (channel, plane_ends, band_ends),
            (band, band_ends, all_ends),
        )
        with m.If(advance):
            m.d.sync += [
                plan.byte.eq(byte),
                plan.count.eq(count),
                plan.inner.eq(self._inner),
                plan.lane.eq(self._lane),
                plan.addr.eq(self._tile + (self._k >> len(self._inner))),
                plan.next_beat.eq(beat_stops | row_ends),
                plan.last.eq(all_ends),
                plan.closes.eq(patch_ends & (y + 1 == fields.patch) & (channel + 1 == fields.channels)),
                self._patch_left.eq(Mux(patch_ends, fields.patch, self._patch_left - count)),
                byte.eq(Mux(row_ends, 0, byte + count)),
            ]
            for counter, steps, ends in nest:
                with m.If(steps):
                    m.d.sync += counter.eq(Mux(ends, 0, counter + 1))
            self._build_place(m, count, patch_ends, row_ends, band_ends)
        return all_ends

    def _build_count(self, m: Module, beat_left: Signal) -> tuple[Signal, Signal, Signal]:
        """Bytes of this write: up to the end of the patch row, of the beat or of the panel word; and whether the first
        of these, the second one stops it. All are compared side by side, because much follows from them."""
        depth, patch_left = self._config.array.depth, self._patch_left
        word_left, count = Signal(range(depth + 1), name="word_left"), Signal(range(depth + 1), name="count")
        patch_stops, beat_stops = Signal(name="patch_stops"), Signal(name="beat_stops")
        self._inner = self._k[: depth.bit_length() - 1]
        m.d.comb += [
            word_left.eq(depth - self._inner),
            patch_stops.eq((patch_left <= beat_left) & (patch_left <= word_left)),
            beat_stops.eq((beat_left <= patch_left) & (beat_left <= word_left)),
            count.eq(Mux(patch_stops, patch_left, Mux(beat_stops, beat_left, word_left))),
        ]
        return count, patch_stops, beat_stops

    def _build_place(
        self, m: Module, count: Signal, patch_ends: Signal, row_ends: Signal, band_ends: Signal
    ) -> None:
        """The next token is the next lane; the next pixel row of a band starts again at its first token, the
        next band continues."""
        fields = self._fields
        next_lane, next_tile, next_row = (
            Signal.like(self._lane, name="next_lane"),
            Signal.like(self._tile, name="next_tile"),
            Signal.like(self._row_k, name="next_row"),
        )
        m.d.comb += [
            next_lane.eq(self._lane + 1),
            next_tile.eq(Mux(next_lane == 0, self._tile + fields.stride, self._tile)),
            next_row.eq(Mux(band_ends, 0, self._row_k + fields.patch)),
        ]
        m.d.sync += self._k.eq(self._k + count)
        with m.If(patch_ends):
            m.d.sync += [self._lane.eq(next_lane), self._tile.eq(next_tile), self._k.eq(self._row_k)]
        with m.If(row_ends):
            m.d.sync += [self._row_k.eq(next_row), self._k.eq(next_row)]
            with m.If(band_ends):
                m.d.sync += [self._band_lane.eq(next_lane), self._band_tile.eq(next_tile)]
            with m.Else():
                m.d.sync += [self._lane.eq(self._band_lane), self._tile.eq(self._band_tile)]

    def _build_write(self, m: Module, plan: _Plan) -> None:
        """``count`` bytes from position ``byte`` of the beat, turned to position ``inner`` of the word, in the token's
        lane; where this ``closes`` a token, zeros behind them up to the end of the word."""
        depth, word = self._config.array.depth, self.o.payload
        taken = Signal(8 * depth)
        m.d.comb += taken.eq(self.i.payload >> (plan.byte << 3))
        turned, filled, lane_mask = (
            Signal(8 * depth, name="turned"),
            Signal(depth, name="filled"),
            Signal(depth, name="lane_mask"),
        )
        with m.Switch(plan.inner):
            for position in range(depth):
                with m.Case(position):
                    m.d.comb += turned.eq(taken.rotate_left(8 * position))
        m.d.comb += [
            filled.eq(((1 << plan.count) - 1) << plan.inner),
            lane_mask.eq(filled | Mux(plan.closes, Const((1 << depth) - 1, depth) << plan.inner, 0)),
        ]
        m.d.sync += [
            word.addr.eq(plan.addr),
            word.data.eq(turned & Cat(bit.replicate(8) for bit in filled)),
            word.mask.eq(
                Cat(
                    lane_mask & (plan.lane == lane).replicate(depth)
                    for lane in range(self._config.array.lanes)
                )
            ),
        ]
