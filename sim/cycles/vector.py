"""The vector unit: some passes over each tile of a NORM, one over a POOL, all at the pace of R's read port
(hw.norm)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from vitreous.sim.cycles.events import Clock, Phase
from vitreous.sim.cycles.matrix import MatrixModel
from vitreous.sim.cycles.ports import Client, Follower, Port
from vitreous.sim.cycles.timing import row_timing
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Queue, check_queue
from vitreous.spec.layout import SHIFTS_PER_WORD, ceil_div
from vitreous.spec.opcodes.norm import has_mean_pass


class _Pass(Enum):
    MEAN = auto()
    STATISTICS = auto()
    NORMALIZE = auto()


class VectorModel:
    """``reads``, ``writes_x``, ``writes_r``: when it uses the ports of R and X. Nothing waits for its reads of P."""

    def __init__(
        self, config: AcceleratorConfig, clock: Clock, matrix: MatrixModel, complete: Callable[[int], None]
    ) -> None:
        check_queue(Queue.VECTOR, Opcode.NORM, Opcode.POOL)
        self._config, self._timing, self._depth = config, row_timing(config), config.array.depth
        self._clock, self._complete = clock, complete
        self._in, self._out = Port(matrix.reads[Memory.R]), Port(matrix.writes[Memory.X])
        self._shifts = Port(matrix.reads[Memory.P])
        self.ready: int | None = 0
        self.reads, self.writes_x, self.writes_r = Follower(matrix.reads[Memory.R]), Client(), Client()
        self._channels = self._words = self._columns_of_a_word = 0
        self._shifted = False
        self._passes: deque[_Pass] = deque()
        self._at = self._tile = 0
        self._check = 0
        self.release: Callable[[int], None]

    @property
    def notice(self) -> int:
        """Cycles before its first write in which an instruction is known to have been issued."""
        return min(self._timing.pool, self._timing.norm)

    def start(self, cycle: int, pc: int, instruction: Instruction) -> None:
        i = instruction.fields
        self._channels = i["channels"]
        self._columns_of_a_word = min(self._depth, self._channels)
        self._words = ceil_div(self._channels, self._depth)
        self._check = cycle + 1
        self._at = cycle + 2  # accepted, checked
        self.ready = None
        if instruction.opcode is Opcode.POOL:
            self._pool(i["row_tiles"])
        else:
            tile = [_Pass.MEAN] * has_mean_pass(i, self._config) + [_Pass.STATISTICS, _Pass.NORMALIZE]
            self._passes = deque(i["row_tiles"] * tile)
            self._shifted, self._tile = bool(i["shifted"]), self._at
            self._read()

    def _read(self) -> None:
        """Read a tile once. What the matrix unit does until then is known when that time has come."""
        if self._passes[0] is _Pass.NORMALIZE:
            step = self._columns_of_a_word
            self.writes_x.use(self._first_write(), 1, self._words * step, self._words, step)

        end = self._pass_end()
        self.reads.ask(self._at, end)
        self._clock.at(end, self._check_pass, Phase.LATE)

    def _check_pass(self, cycle: int) -> None:
        end = self._pass_end()
        if end > cycle:
            self.reads.extend(end)
            self._clock.at(end, self._check_pass, Phase.LATE)
        else:
            self._end_pass(end)

    def _first_write(self) -> int:
        """Of the pass that begins now: after the columns of a word and the pipeline."""
        return self._at + self._columns_of_a_word + self._timing.norm - 3

    def _pass_end(self) -> int:
        """The last read, as far as is known; in the normalize pass a word begins when there is a place for it."""
        if self._passes[0] is not _Pass.NORMALIZE:
            return self._in.after(self._at, self._channels)
        end = self._shifted_end() if self._shifted else self._in.after(self._at, self._channels)
        words = self._words - self._timing.places
        if words > 0:
            end = max(end, self._out.after(self._first_write(), words) + self._depth)
        return end

    def _shifted_end(self) -> int:
        """The same where a column also waits for its shift: each word of shifts is asked for when the one before is in
        use, the first one when the tile begins."""
        asked, at = self._tile, self._at
        for channel in range(0, self._channels, SHIFTS_PER_WORD):
            there = self._shifts.after(asked, 1) + self._timing.shifts
            asked = max(there, at) if channel else there
            at = self._in.after(max(there, at), min(SHIFTS_PER_WORD, self._channels - channel)) + 1
        return at - 1

    def _end_pass(self, end: int) -> None:
        """Mean and scale of every lane lie between the passes of a tile; the next tile follows at once."""
        first_write = self._first_write()
        match self._passes.popleft():
            case _Pass.MEAN:  # by a reciprocal that the check of the instruction has begun
                self._at = max(end + 1 + self._timing.mean, self._check + self._timing.mean_after_check)
            case _Pass.STATISTICS:
                self._at = end + 1 + self._timing.scale
            case _Pass.NORMALIZE:
                self._at = self._tile = end + 1
        if self._passes:
            self._read()
        else:
            written = self._out.after(first_write, self._words)
            self._finish(max(end + self._timing.norm - 2, written) + 1)

    def _pool(self, tiles: int) -> None:
        """A channel begins while fewer than ``places`` are on their way."""
        written: list[int] = []
        at = self._at
        for channel in range(self._channels):
            if channel >= self._timing.places:
                at = max(at, written[channel - self._timing.places] + 1)
            at = self._in.after(at, tiles) + 1
            written.append(at + self._timing.pool - 3)
        self.reads.ask(self._at, at - 1)
        self.writes_r.use(written[0], len(written), tiles, 1)
        self._finish(written[-1] + 1)

    def _finish(self, done: int) -> None:
        self.ready = done + 1
        self._complete(done)
        self._clock.at(done + 1, self.release)
