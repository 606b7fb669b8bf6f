"""The matrix unit: operand sequencer, array, readout, epilogue, packer and score buffer around the memories' ports.

Stages of a word pair (cycle 0: the operand sequencer's output):
    0       S address
    P       X and W addresses, P = latency of the probability prologue, so that all operands arrive together
    P + 1   memory data, probabilities: the array's inputs
Stages of a column (cycle 0: the readout's output, P + 4 cycles after the word that ended its tile for column 0):
    0       parameter address
    1       column select, parameter data
    2       accumulators, byte planes added, bias, multiplier, shift: the epilogue's inputs
    2 + F   R write, packer, softmax statistics; F = latency of the epilogue
    3 + F   X or W write, retirement
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Out

from vitreous.hw.arith.delay import delay_line
from vitreous.hw.arith.gating import gated
from vitreous.hw.control.retire import Retire
from vitreous.hw.matrix.array import Array
from vitreous.hw.matrix.byte_planes import PlaneSum
from vitreous.hw.matrix.epilogue import Epilogue
from vitreous.hw.matrix.operand_sequencer import FeedWord, OperandSequencer
from vitreous.hw.matrix.packer import Packer
from vitreous.hw.matrix.parameters import Parameters
from vitreous.hw.matrix.readout import Descriptor, Readout
from vitreous.hw.matrix.scores import Scores
from vitreous.hw.memory.ports import ReadPort, WritePort, report_first, unit_members
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Activation, ErrorCode, Memory, Operands

_IN_FLIGHT = 16
"""Instructions started and not retired: one tile of N = 4 takes 4 cycles of the array and about 30 of the pipeline."""
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
    config : the accelerator.

    Members
    -------
    those of ``unit_members``; commands are MATMUL, one with destination S is done when its slot's statistics are final.
    x, w, p, r : Out, read ports.
    xo, wo, ro : Out, write ports.

    Raises (as ``error``): ILLEGAL_FIELD before an instruction starts, ADDRESS when a port faults.
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
        self.config = config
        self._operand_stage = Scores.read_latency(config)
        self._start_stage = self._operand_stage + Array.SHADOW_LATENCY - 2
        self._result_stage = self.result_latency(config)
        self._write_stage = self._result_stage + Packer.LATENCY
        panel, residual = 8 * config.panel_word_bytes, 8 * config.residual_word_bytes
        super().__init__(
            unit_members(_EVENTS)
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
        m.submodules.sequencer = self._sequencer = OperandSequencer(
            self.config, readout_latency=self.column_latency(self.config), in_flight=_IN_FLIGHT
        )
        m.submodules.array = self._array = Array(self.config)
        m.submodules.readout = self._readout = Readout(self.config)
        m.submodules.parameters = self._parameters = Parameters(self.config)
        m.submodules.planes = self._planes = PlaneSum(self.config)
        self._epilogue = Epilogue(self.config)
        m.submodules.packer = self._packer = Packer(self.config)
        m.submodules.scores = self._scores = Scores(self.config)
        m.submodules.retire = self._retire = Retire(in_flight=_IN_FLIGHT)
        self._stop = Signal()
        self._build_commands(m)
        self._build_words(m)
        self._build_columns(m)
        self._build_epilogue(m)
        self._build_results(m)
        self._build_errors(m)
        self._build_events(m)
        return m

    def _build_commands(self, m: Module) -> None:
        """The operand sequencer starts instructions, the readout takes them over, ``Retire`` retires them, in order."""
        sequencer, retire = self._sequencer, self._retire
        m.submodules.descriptors = descriptors = SyncFIFOBuffered(width=Descriptor().size, depth=_IN_FLIGHT)
        m.d.comb += [
            self.i.ready.eq(sequencer.i.ready),
            sequencer.i.valid.eq(self.i.valid),
            sequencer.i.payload.eq(self.i.payload),
            sequencer.stop.eq(self._stop),
            sequencer.retire.eq(retire.done),
            descriptors.w_en.eq(sequencer.start),
            descriptors.w_data.eq(Cat(sequencer.descriptor, sequencer.descriptor_pc)),
            self._readout.descriptor.payload.eq(descriptors.r_data),
            self._readout.descriptor.valid.eq(descriptors.r_rdy),
            descriptors.r_en.eq(self._readout.descriptor.ready),
            retire.start.eq(sequencer.start),
            retire.start_score.eq(sequencer.descriptor.destination == Memory.S),
            self.done.eq(retire.done & ~self._stop),
            self.busy.eq(sequencer.busy),
        ]

    def _build_words(self, m: Module) -> None:
        sequencer, array, scores = self._sequencer, self._array, self._scores
        word = Signal(FeedWord())
        m.d.comb += [
            word.eq(sequencer.word),
            scores.read_valid.eq(sequencer.word_valid & (word.operands == Operands.SW)),
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
        self._word_pc = address.pc
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
            self._readout.start.eq(valids[self._start_stage] & start.last),
            self._readout.tile.eq(start.tile),
        ]

    def _build_columns(self, m: Module) -> None:
        """Column tags down the whole pipeline, and the parameters of a column."""
        sequencer, readout, parameters, scores = (
            self._sequencer,
            self._readout,
            self._parameters,
            self._scores,
        )
        self._flags = delay_line(m, readout.flags, self._write_stage, name="flags")
        self._tags = delay_line(m, readout.tag, self._write_stage, name="tag", reset_less=True)
        lane_valid, lane = Signal(), Signal.like(sequencer.p_lane, reset_less=True)
        m.d.sync += [lane_valid.eq(sequencer.p_valid), lane.eq(sequencer.p_lane)]
        m.d.comb += [
            # The operand sequencer reads lane parameters only while the readout is idle.
            self.p.valid.eq(readout.p_valid | sequencer.p_valid),
            self.p.addr.eq(Mux(sequencer.p_valid, sequencer.p_addr, readout.p_addr)),
            self._array.select.eq(self._tags[1].select),
            parameters.word.eq(self.p.data),
            parameters.lane_valid.eq(lane_valid),
            parameters.lane.eq(lane),
            parameters.scale.eq(self._tags[1].scale),
            scores.scale_slot.eq(self._tags[_EPILOGUE_STAGE].slot),
            parameters.row_multiplier.eq(scores.row_multiplier),
            parameters.row_shift.eq(scores.row_shift),
        ]

    def _build_epilogue(self, m: Module) -> None:
        epilogue, parameters, planes = self._epilogue, self._parameters, self._planes
        gated(m, epilogue, valid=epilogue.valid, cycles=Epilogue.latency(self.config), name="epilogue")
        tag, flags = self._tags[_EPILOGUE_STAGE], self._flags[_EPILOGUE_STAGE]
        control = epilogue.control
        residual = self.residual_latency(self.config)
        self._residual_tag = self._tags[residual]
        m.d.comb += [
            epilogue.valid.eq(flags.valid),
            planes.high.eq(flags.hold),
            planes.low.eq(tag.low),
            planes.index.eq(tag.select),
            planes.column.eq(self._array.column),
            epilogue.acc.eq(planes.acc),
            epilogue.bias.eq(parameters.bias),
            epilogue.multiplier.eq(parameters.multiplier),
            epilogue.shift.eq(parameters.shift),
            control.saturation.eq(Mux(tag.destination == Memory.S, 2, tag.destination == Memory.R)),
            control.activation.eq(tag.activation),
            control.zero_point.eq(tag.zero_point),
            control.multiplier.eq(tag.multiplier),
            control.shift.eq(tag.shift),
            control.residual.eq(tag.residual),
            epilogue.residual.eq(self.r.data),
            self.r.valid.eq(self._flags[residual].valid & self._residual_tag.residual),
            self.r.addr.eq(self._residual_tag.addr),
        ]

    def _build_results(self, m: Module) -> None:
        packer, scores, epilogue = self._packer, self._scores, self._epilogue
        result, valid = self._tags[self._result_stage], self._flags[self._result_stage].valid
        write, flags = self._tags[self._write_stage], self._flags[self._write_stage]
        coming, packed = self._coming(m, self._result_stage), self._coming(m, self._write_stage)
        refused = self._write_fault = (self.xo.valid & self.xo.fault) | (self.wo.valid & self.wo.fault)
        m.d.comb += [
            packer.valid.eq(valid),
            packer.index.eq(result.index),
            self.ro.valid.eq(coming[Memory.R] & ~self._stop),
            self.ro.addr.eq(result.addr),
            self.ro.data.eq(epilogue.o),
            scores.valid.eq(coming[Memory.S] & ~self._stop),
            scores.score.eq(epilogue.o),
            scores.tag.emit.eq(self._flags[self._result_stage].emit),
            scores.tag.word.eq(result.addr),
            self._retire.write_end.eq(flags.done & (write.destination != Memory.S) & ~self._stop & ~refused),
            self._retire.score_end.eq(scores.done),
        ]
        for name in ("first", "last", "index"):
            m.d.comb += getattr(scores.tag, name).eq(getattr(result, name))
        for name in ("slot", "multiplier", "shift"):
            m.d.comb += getattr(scores.tag.row, name).eq(getattr(result, name))
        for lane in range(self.config.array.lanes):
            m.d.comb += packer.column[lane].eq(epilogue.o[lane])
        for port, memory in ((self.xo, Memory.X), (self.wo, Memory.W)):
            m.d.comb += [
                port.valid.eq(packed[memory] & flags.emit & ~self._stop),
                port.addr.eq(write.addr),
                port.data.eq(packer.o),
            ]

    def _coming(self, m: Module, stage: int) -> dict[Memory, Signal]:
        """For each destination whether it is that of the column at ``stage``, from registers: other units' ports wait
        for the answer."""
        flags, tag = self._flags[stage - 1], self._tags[stage - 1]
        found = {}
        for memory in (Memory.X, Memory.W, Memory.R, Memory.S):
            found[memory] = Signal(name=f"to_{memory.name.lower()}_{stage}")
            m.d.sync += found[memory].eq(flags.valid & (tag.destination == memory))
        return found

    def _build_errors(self, m: Module) -> None:
        """The first fault stops the unit; of several in one cycle, that of the oldest instruction is reported."""
        stopped = Signal()
        m.d.comb += self._stop.eq(stopped | self.halt)
        lane_pc, readout_pc = self._sequencer.p_pc, self._readout.tag.pc
        faults = (
            (self._write_fault, self._tags[self._write_stage].pc),
            (self.ro.valid & self.ro.fault, self._tags[self._result_stage].pc),
            (self.r.valid & self.r.fault, self._residual_tag.pc),
            (self.p.valid & self.p.fault, Mux(self._sequencer.p_valid, lane_pc, readout_pc)),
            ((self.x.valid & self.x.fault) | (self.w.valid & self.w.fault), self._word_pc),
        )
        with m.If(self._sequencer.error.valid & ~self._stop):
            m.d.comb += self.error.eq(self._sequencer.error)
        report_first(m, self.error, ((fault & ~self._stop, ErrorCode.ADDRESS, pc) for fault, pc in faults))
        with m.If(self.error.valid):
            m.d.sync += stopped.eq(1)

    def _build_events(self, m: Module) -> None:
        column, tag = self._flags[0].valid, self._tags[0]
        m.d.comb += [
            self.events.busy.eq(self._sequencer.word_valid),
            self.events.stall_readout.eq(self._sequencer.stall_readout),
            self.events.stall_parameters.eq(self._sequencer.stall_parameters),
            self.events.s_read.eq(self._scores.read_valid),
            self.events.s_write.eq(self._scores.written),
            self.events.readout_column.eq(column),
            self.events.activation_column.eq(column & (tag.activation == Activation.SMOOTH)),
            self.events.score_column.eq(column & (tag.destination == Memory.S)),
        ]
