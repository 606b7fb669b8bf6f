"""Between bus beats and memory words of every size: gather or split, low bytes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.layout import word_bytes


class Word(data.StructLayout):
    """A memory word in the low bits; ``last``: of its row."""

    def __init__(self, width: int) -> None:
        super().__init__({"data": width, "last": 1})


class WriteBeat(data.StructLayout):
    """Bus data with one strobe for each byte."""

    def __init__(self, data_bits: int) -> None:
        super().__init__({"data": data_bits, "strobe": data_bits // 8})


def widest_word_bits(config: AcceleratorConfig, memories: Sequence[isa.Memory]) -> int:
    """Bits of the widest word among ``memories``."""
    return 8 * max(word_bytes(config, which) for which in memories)


class _Ratios:
    """For the selected memory: ``gathers`` (a word has several beats) and ``final``, the last position within
    the larger of the two."""

    def __init__(
        self, m: Module, config: AcceleratorConfig, memories: Sequence[isa.Memory], memory: Signal
    ) -> None:
        beat = config.bus.beat_bytes
        sizes = {which: word_bytes(config, which) for which in memories}
        longest = max(max(size // beat, beat // size) for size in sizes.values())
        self.gathers = Signal()
        self.final = Signal(range(max(longest, 2)))
        self.position = Signal(range(max(longest, 2)))
        with m.Switch(memory):
            for which, size in sizes.items():
                with m.Case(which):
                    m.d.comb += [
                        self.gathers.eq(size > beat),
                        self.final.eq(max(size // beat, beat // size) - 1),
                    ]


class Gearbox(wiring.Component):
    """From beats to words of a memory or back, through one register.

    Latency: 1 cycle after the input that completes an output. Throughput: one beat a cycle where a word is a beat
    or more, else one word a cycle. Back-pressure: holds its output.

    Parameters
    ----------
    config : sizes of beat and words.
    memories : those that ``memory`` may select.
    members : beside ``memory``.

    Members
    -------
    memory : In, whose words they are; stable during a transfer.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        memories: Sequence[isa.Memory],
        members: Mapping[str, wiring.Member],
    ) -> None:
        self._config, self._memories = config, tuple(memories)
        super().__init__({**members, "memory": In(isa.Memory)})


class BeatsToWords(Gearbox):
    """Rows of ``words`` memory words out of beats; a row starts with a new beat, what is left of its last beat
    is dropped. All else: ``Gearbox``.

    Members
    -------
    i : In(stream.Signature(data_bits)).
    o : Out(stream.Signature(Word(widest))).
    words : In, of a row; stable during a transfer.
    """

    def __init__(self, config: AcceleratorConfig, *, memories: Sequence[isa.Memory]) -> None:
        members = {
            "i": In(stream.Signature(config.bus.data_bits)),
            "o": Out(stream.Signature(Word(widest_word_bits(config, memories)))),
            "words": In(isa.ADDRESS_BITS),
        }
        super().__init__(config, memories, members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = self._config.bus.data_bits
        ratios = _Ratios(m, self._config, self._memories, self.memory)
        position = ratios.position
        count = Signal(isa.ADDRESS_BITS)
        row_ends, word_ends, beat_ends, step = (
            Signal(name="row_ends"),
            Signal(name="word_ends"),
            Signal(name="beat_ends"),
            Signal(name="step"),
        )
        m.d.comb += [
            step.eq(self.i.valid & (~self.o.valid | self.o.ready)),
            row_ends.eq(count + 1 == self.words),
            word_ends.eq(~ratios.gathers | (position == ratios.final)),
            beat_ends.eq(ratios.gathers | (position == ratios.final) | row_ends),
            self.i.ready.eq(step & beat_ends),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(step):
            self._build_data(m, position, bits)
            m.d.sync += [
                self.o.valid.eq(word_ends),
                self.o.payload.last.eq(row_ends),
                position.eq(Mux(word_ends & beat_ends, 0, position + 1)),
            ]
            with m.If(word_ends):
                m.d.sync += count.eq(Mux(row_ends, 0, count + 1))
        return m

    def _build_data(self, m: Module, position: Signal, bits: int) -> None:
        """The output register is the place where words are gathered: it is free while the first beat of the
        next word arrives."""
        out = self.o.payload.data
        with m.Switch(self.memory):
            for which in self._memories:
                word = 8 * word_bytes(self._config, which)
                with m.Case(which):
                    if word <= bits:
                        m.d.sync += out[:word].eq(
                            self.i.payload.word_select(position[: (bits // word - 1).bit_length()], word)
                        )
                        continue
                    for slot in range(word // bits):
                        with m.If(position == slot):
                            m.d.sync += out.word_select(slot, bits).eq(self.i.payload)


class WordsToBeats(Gearbox):
    """The reverse: a row of words becomes beats; the last beat of a row has strobes only where it has data.
    All else: ``Gearbox``.

    Members
    -------
    i : In(stream.Signature(Word(widest))).
    o : Out(stream.Signature(WriteBeat(data_bits))).
    """

    def __init__(self, config: AcceleratorConfig, *, memories: Sequence[isa.Memory]) -> None:
        members = {
            "i": In(stream.Signature(Word(widest_word_bits(config, memories)))),
            "o": Out(stream.Signature(WriteBeat(config.bus.data_bits))),
        }
        super().__init__(config, memories, members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ratios = _Ratios(m, self._config, self._memories, self.memory)
        position = ratios.position
        word_ends, beat_ends, step = Signal(name="word_ends"), Signal(name="beat_ends"), Signal(name="step")
        m.d.comb += [
            step.eq(self.i.valid & (~self.o.valid | self.o.ready)),
            word_ends.eq(~ratios.gathers | (position == ratios.final)),
            beat_ends.eq(ratios.gathers | (position == ratios.final) | self.i.payload.last),
            self.i.ready.eq(step & word_ends),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(step):
            self._build_data(m, position)
            m.d.sync += [self.o.valid.eq(beat_ends), position.eq(Mux(word_ends & beat_ends, 0, position + 1))]
        return m

    def _build_data(self, m: Module, position: Signal) -> None:
        bits = self._config.bus.data_bits
        source, out, strobe = self.i.payload.data, self.o.payload.data, self.o.payload.strobe
        with m.Switch(self.memory):
            for which in self._memories:
                word = 8 * word_bytes(self._config, which)
                with m.Case(which):
                    if word >= bits:
                        selected = source.word_select(position[: (word // bits - 1).bit_length()], bits)
                        m.d.sync += [out.eq(selected), strobe.eq(Const(-1, bits // 8))]
                        continue
                    for slot in range(bits // word):
                        with m.If(position == slot):
                            filled = (1 << (slot + 1) * word // 8) - 1
                            m.d.sync += [out.word_select(slot, word).eq(source[:word]), strobe.eq(filled)]
