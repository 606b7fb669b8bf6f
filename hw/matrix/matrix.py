"""The matrix unit: operand sequencer, array, readout, epilogue, packer and score buffer around the memories' ports.

Stages of a word pair (cycle 0: the operand sequencer's output):
    0       S address
    P       X and W addresses, P = latency of the probability prologue, so that all operands arrive together
    P + 1   memory data, probabilities: the array's inputs
Stages of a column (cycle 0: the readout's output, P + 4 cycles after the word that ended its tile for column 0):
    0       parameter address
    1       column select, parameter data
    1       what the parts before left of a context is shifted
    2       accumulators, shifted where they are a part, bias, multiplier, shift: the epilogue's inputs
    3       their sum, kept where it is a part
    2 + F   R write, packer, softmax statistics; F = latency of the epilogue
    3 + F   X or W write, retirement
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from vitreous.hw import checks
from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.gating import gated
from vitreous.hw.arith.requantize import Saturation
from vitreous.hw.control.retire import Ending, Retire
from vitreous.hw.matrix.array import Array
from vitreous.hw.matrix.columns import Column, Columns
from vitreous.hw.matrix.epilogue import Epilogue
from vitreous.hw.matrix.faults import Faults
from vitreous.hw.matrix.operand_sequencer import FeedWord, OperandSequencer
from vitreous.hw.matrix.packer import Packer
from vitreous.hw.matrix.parameters import Parameters
from vitreous.hw.matrix.partial_contexts import PartialContexts
from vitreous.hw.matrix.readout import Descriptor, Readout
from vitreous.hw.matrix.results import Parts, Ports, results
from vitreous.hw.matrix.scores import Scores
from vitreous.hw.memory.ports import ReadPort, WritePort, unit_members
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.hw.protect.parity_queue import queue
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation, ErrorCode, Memory, Opcode, Operands, Queue
from vitreous.spec.limits import ISSUED_INSTRUCTIONS

_EPILOGUE_STAGE = 1 + Array.COLUMN_LATENCY
_EVENTS = (
    "busy",
    "stall_readout",
    "stall_parameters",
    "s_read",
    "s_write",
    "readout_column",
    "activation_column",
    "score_column",
)


class MatrixUnit(wiring.Component):
    """MATMUL of docs/machine.md: ``column(r, c*N + j) = sum_k A[r][k] . B[c][k]``, by the epilogue to X, W, R or S.

    Latency: ``latency(config)`` cycles from the word that ends a tile to the write of a word of X or W that its
    column 0 ends.
    Throughput: one word pair a cycle; a tile takes ``max(k_words, N)`` cycles, without a gap between tiles and
    instructions, but for scale LANE, whose rows of tiles wait for the readout and N parameters.
    Back-pressure: none to the memories, which always grant it; ``i`` waits while two instructions are held.

    Parameters
    ----------
    config : the accelerator; with ``protect.parity`` there is a member ``upset``.

    Members
    -------
    those of ``unit_members``; commands are MATMUL, one with destination S is done when its slot's statistics are final.
    x, w, p, r : Out, read ports.
    xo, wo, ro : Out, write ports.

    Raises (as ``error``): ILLEGAL_FIELD before an instruction starts, ADDRESS when a port faults; of all instructions
    in flight the oldest with an error.
    """

    @staticmethod
    def column_latency(config: AcceleratorConfig) -> int:
        """From the word that ends a tile to the parameter address of the tile's column 0."""
        return Scores.read_latency(config) + Array.SHADOW_LATENCY - 2 + Readout.LATENCY

    @staticmethod
    def result_latency(config: AcceleratorConfig) -> int:
        """From the parameter address of a column to the epilogue's result."""
        return _EPILOGUE_STAGE + Epilogue.latency(config)

    @staticmethod
    def residual_latency(config: AcceleratorConfig) -> int:
        """From the parameter address of a column to the read of its old residual stream."""
        return _EPILOGUE_STAGE + Epilogue.residual_latency(config) - 1

    @staticmethod
    def latency(config: AcceleratorConfig) -> int:
        """From the word that ends a tile to the write of a word that its column 0 ends."""
        return MatrixUnit.column_latency(config) + MatrixUnit.result_latency(config) + Packer.LATENCY

    def __init__(self, config: AcceleratorConfig) -> None:
        isa.check_queue(Queue.MATRIX, Opcode.MATMUL)
        self.config = checks.accelerator(config)
        self._operand_stage = Scores.read_latency(config)
        self._start_stage = self._operand_stage + Array.SHADOW_LATENCY - 2
        self._result_stage = self.result_latency(config)
        self._write_stage = self._result_stage + Packer.LATENCY
        panel, residual = 8 * config.panel_word_bytes, 8 * config.residual_word_bytes
        super().__init__(
            unit_members(_EVENTS)
            | upset_member(config.protect.parity)
            | {
                "x": Out(ReadPort(panel)),
                "w": Out(ReadPort(panel)),
                "p": Out(ReadPort(8 * isa.PARAMETER_BYTES)),
                "r": Out(ReadPort(residual)),
                "xo": Out(WritePort(panel)),
                "wo": Out(WritePort(panel)),
                "ro": Out(WritePort(residual)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.sequencer = sequencer = OperandSequencer(
            config, readout_latency=self.column_latency(config), in_flight=ISSUED_INSTRUCTIONS
        )
        m.submodules.array = array = Array(config)
        m.submodules.readout = readout = Readout(config)
        m.submodules.parameters = parameters = Parameters(config)
        m.submodules.partial = partial = PartialContexts(config)
        epilogue = Epilogue(config)
        m.submodules.packer = packer = Packer(config)
        m.submodules.scores = scores = Scores(config)
        m.submodules.retirement = retire = Retire(in_flight=ISSUED_INSTRUCTIONS)
        m.submodules.faults = faults = Faults(
            word_stages=self._start_stage - self._operand_stage + 1,
            residual_stage=self.residual_latency(config),
            result_stage=self._result_stage,
        )
        stop = Signal(name="_stop")
        self._build_commands(m, sequencer, readout, retire, stop)
        m.d.comb += faults.word.eq(self._build_words(m, sequencer, scores, array, readout))
        m.d.comb += readout.bad.eq(faults.tile)
        columns = self._build_columns(m, readout)
        self._build_parameters(m, columns, sequencer, readout, parameters, scores, array, faults)
        self._build_partial(m, columns, readout, scores, array, partial, epilogue)
        self._build_epilogue(m, columns, partial, parameters, epilogue, faults)
        refused = results(
            m,
            columns,
            Ports(x=self.xo, w=self.wo, r=self.ro),
            Parts(epilogue=epilogue, packer=packer, scores=scores, retire=retire, faults=faults),
            stop=stop,
            stages=(self._result_stage, self._write_stage),
        )
        self._build_errors(m, sequencer, columns.write, refused, stop)
        self._build_events(m, columns.read, sequencer, scores)
        return m

    def _build_commands(
        self, m: Module, sequencer: OperandSequencer, readout: Readout, retire: Retire, stop: Value
    ) -> None:
        """The operand sequencer starts instructions, the readout takes them over in order, completion retires them."""
        guard = Guard(m, on=self.config.protect.parity)
        m.submodules.descriptors = descriptors = queue(
            width=Descriptor().size, depth=ISSUED_INSTRUCTIONS, parity=guard.on, buffered=True
        )
        guard.parts(sequencer, descriptors)
        guard.report(self)
        # A cycle later: the sequencer still holds the instruction then, and its first column is further away.
        started = Signal(name="started")
        m.d.sync += started.eq(sequencer.start)
        m.d.comb += [
            self.i.ready.eq(sequencer.i.ready),
            sequencer.i.valid.eq(self.i.valid),
            sequencer.i.payload.eq(self.i.payload),
            sequencer.stop.eq(stop),
            sequencer.retire.eq(retire.done),
            descriptors.w_en.eq(started),
            descriptors.w_data.eq(Cat(sequencer.descriptor, sequencer.descriptor_pc)),
            readout.descriptor.payload.eq(descriptors.r_data),
            readout.descriptor.valid.eq(descriptors.r_rdy),
            descriptors.r_en.eq(readout.descriptor.ready),
            retire.start.eq(started),
            retire.start_ending.eq(
                Mux(
                    sequencer.descriptor.destination == Memory.S,
                    Mux(sequencer.descriptor.last_block, Ending.ROW, Ending.BLOCK),
                    Ending.WRITE,
                )
            ),
            self.done.eq(retire.done & ~stop),
            self.busy.eq(sequencer.busy),
        ]

    def _build_words(
        self, m: Module, sequencer: OperandSequencer, scores: Scores, array: Array, readout: Readout
    ) -> Value:
        """Word pairs from the memories and the scores to the array; the last one of a tile starts its readout. Returns
        whether a word of the pair at its memories is not there."""
        word = Signal(FeedWord())
        m.d.comb += [
            word.eq(sequencer.word),
            scores.read_valid.eq(sequencer.word_valid & (word.operands == Operands.SW)),
            scores.read_first.eq(word.first),
            scores.read_slot.eq(word.slot),
            scores.read_word.eq(word.a_addr),
            scores.plane.eq(word.tile.plane),
        ]
        valids = delay_line(m, sequencer.word_valid, self._start_stage, name="word_valid")
        words = delay_line(m, word, self._start_stage, name="word", reset_less=True)
        address, operand, start = (
            words[self._operand_stage - 1],
            words[self._operand_stage],
            words[self._start_stage],
        )
        swapped = address.operands == Operands.WX
        m.d.comb += [
            self.x.valid.eq(valids[self._operand_stage - 1] & (address.operands != Operands.SW)),
            self.x.addr.eq(Mux(swapped, address.b_addr, address.a_addr)),
            self.w.valid.eq(valids[self._operand_stage - 1]),
            self.w.addr.eq(Mux(swapped, address.a_addr, address.b_addr)),
            array.valid.eq(valids[self._operand_stage]),
            array.first.eq(operand.first),
            array.last.eq(operand.last),
            array.a.eq(
                Mux(operand.operands[1], scores.o, Mux(operand.operands[0], self.w.data, self.x.data))
            ),
            array.b.eq(Mux(operand.operands[0], self.x.data, self.w.data)),
            readout.start.eq(valids[self._start_stage] & start.last),
            readout.tile.eq(start.tile),
        ]
        return (self.x.valid & self.x.fault) | (self.w.valid & self.w.fault)

    def _build_columns(self, m: Module, readout: Readout) -> Columns:
        """Flags and tags of columns, down the whole pipeline."""
        flags = delay_line(m, readout.flags, self._write_stage, name="flags")
        tags = delay_line(m, readout.tag, self._write_stage, name="tag", reset_less=True)
        stages = [Column(*column) for column in zip(flags, tags, strict=True)]
        return Columns(
            read=stages[0],
            select=stages[1],
            before_epilogue=stages[_EPILOGUE_STAGE - 1],
            epilogue=stages[_EPILOGUE_STAGE],
            total=stages[_EPILOGUE_STAGE + 1],
            residual=stages[self.residual_latency(self.config)],
            before_result=stages[self._result_stage - 1],
            result=stages[self._result_stage],
            before_write=stages[self._write_stage - 1],
            write=stages[self._write_stage],
        )

    def _build_parameters(
        self,
        m: Module,
        columns: Columns,
        sequencer: OperandSequencer,
        readout: Readout,
        parameters: Parameters,
        scores: Scores,
        array: Array,
        faults: Faults,
    ) -> None:
        """The column's accumulators and its parameters, from P, from the lanes' registers or from the score rows."""
        lane_valid, lane = (
            Signal(name="lane_valid"),
            Signal.like(sequencer.p_lane, reset_less=True, name="lane"),
        )
        m.d.sync += [lane_valid.eq(sequencer.p_valid), lane.eq(sequencer.p_lane)]
        m.d.comb += [
            # The operand sequencer reads lane parameters only while the readout is idle.
            self.p.valid.eq(readout.p_valid | sequencer.p_valid),
            self.p.addr.eq(Mux(sequencer.p_valid, sequencer.p_addr, readout.p_addr)),
            array.select.eq(columns.select.tag.select),
            parameters.word.eq(self.p.data),
            parameters.lane_valid.eq(lane_valid),
            parameters.lane.eq(lane),
            parameters.scale.eq(columns.select.tag.scale),
            scores.scale_slot.eq(columns.epilogue.tag.slot),
            parameters.row_multiplier.eq(scores.row_multiplier),
            parameters.row_shift.eq(scores.row_shift),
            faults.lane.eq(sequencer.p_valid & self.p.fault),
            faults.column.eq(columns.read.flags.bad | (readout.p_valid & self.p.fault)),
        ]

    def _build_partial(
        self,
        m: Module,
        columns: Columns,
        readout: Readout,
        scores: Scores,
        array: Array,
        partial: PartialContexts,
        epilogue: Epilogue,
    ) -> None:
        """Blocks of keys and byte planes are added up on the way to the epilogue."""
        following, select, total = readout.descriptor.payload.fields, columns.select, columns.total
        begin, first = Signal(name="context_begins"), Signal(name="context_first", reset_less=True)
        m.d.comb += [
            scores.context_slot.eq(following.slot),
            partial.take.eq(
                readout.start & readout.tile.instruction_first & (following.operands == Operands.SW)
            ),
        ]
        m.d.sync += [begin.eq(partial.take), first.eq(following.first_block)]
        m.d.comb += [
            partial.maximum.eq(scores.context_maximum),
            partial.begin.eq(begin),
            partial.first_block.eq(first),
            partial.part.eq(select.tag.part),
            partial.index.eq(select.tag.select),
            partial.column.eq(array.column),
            partial.write.eq((total.flags.valid | total.flags.hold) & total.tag.part.summed),
            partial.write_index.eq(total.tag.select),
            partial.total.eq(epilogue.total),
        ]

    def _build_epilogue(
        self,
        m: Module,
        columns: Columns,
        partial: PartialContexts,
        parameters: Parameters,
        epilogue: Epilogue,
        faults: Faults,
    ) -> None:
        """The column goes through the epilogue and on its way meets its old residual stream."""
        before, cycles = columns.before_epilogue.flags, Epilogue.latency(self.config)
        coming = before.valid | before.hold
        gated(m, epilogue, coming=coming, cycles=cycles, name="epilogue")
        flags, tag = columns.epilogue
        control = epilogue.control
        m.d.comb += [
            epilogue.valid.eq(flags.valid),
            epilogue.acc.eq(partial.acc),
            # A context has no bias, and nothing but a part of one has older parts.
            epilogue.bias.eq(parameters.bias.as_value() | partial.older.as_value()),
            epilogue.carry.eq(partial.carry),
            epilogue.multiplier.eq(parameters.multiplier),
            epilogue.shift.eq(parameters.shift),
            control.saturation.eq(
                Mux(tag.destination == Memory.S, Saturation.SCORE, tag.destination == Memory.R)
            ),
            control.activation.eq(tag.activation),
            control.zero_point.eq(tag.zero_point),
            control.multiplier.eq(tag.multiplier),
            control.shift.eq(tag.shift),
            control.residual.eq(tag.residual),
            epilogue.residual.eq(self.r.data),
            self.r.valid.eq(columns.residual.flags.valid & columns.residual.tag.residual),
            self.r.addr.eq(columns.residual.tag.addr),
            faults.residual.eq(self.r.valid & self.r.fault),
        ]

    def _build_errors(
        self, m: Module, sequencer: OperandSequencer, last: Column, refused: Value, stop: Signal
    ) -> None:
        """The first fault at the last stage stops the unit. A wrong instruction waits there until no other is left."""
        stopped = Signal()
        m.d.comb += stop.eq(stopped | self.halt)
        with m.If(sequencer.error.valid & ~stop):
            m.d.comb += self.error.eq(sequencer.error)
        with m.If(refused & ~stop):
            m.d.comb += [self.error.valid.eq(1), self.error.code.eq(ErrorCode.ADDRESS)]
            m.d.comb += self.error.pc.eq(last.tag.pc)
        with m.If(self.error.valid):
            m.d.sync += stopped.eq(1)

    def _build_events(self, m: Module, column: Column, sequencer: OperandSequencer, scores: Scores) -> None:
        """What is counted; of columns, when they leave the readout."""
        valid, tag = column.flags.valid, column.tag
        m.d.comb += [
            self.events.busy.eq(sequencer.word_valid),
            self.events.stall_readout.eq(sequencer.stall_readout),
            self.events.stall_parameters.eq(sequencer.stall_parameters),
            self.events.s_read.eq(scores.read_valid),
            self.events.s_write.eq(scores.written),
            self.events.readout_column.eq(valid),
            self.events.activation_column.eq(valid & ~tag.kept & (tag.activation == Activation.SMOOTH)),
            self.events.score_column.eq(valid & (tag.destination == Memory.S)),
        ]
