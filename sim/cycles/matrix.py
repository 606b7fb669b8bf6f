"""The matrix unit: the feeder's tiles, the drain's columns, completion (hw.feeder, hw.drain, hw.completion)."""

from __future__ import annotations

from collections.abc import Callable

from vitreous.sim.cycles.ports import Client
from vitreous.sim.cycles.timing import matrix_timing
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Operands, Scale
from vitreous.spec.layout import ceil_div


class MatrixModel:
    """Nothing stalls the unit, so each instruction's times follow from its start: ``ends`` of its tiles by

        end = max(end of the tile before + N, first cycle + k_words - 1)

    Each plane of a tile counts as a tile, but only the last one has columns. The last tile of a score row is later
    where the softmax still goes through the row before.

    reads, writes, fed : the cycles in which it uses the memories' ports and its array.
    """

    def __init__(self, config: AcceleratorConfig, complete: Callable[[int], None]) -> None:
        self._lanes, self._depth = config.array.lanes, config.array.depth
        self._timing = matrix_timing(config)
        self._complete = complete
        self.ready: int | None = 0
        self._fed = -1  # the last cycle in which the feeder was active
        self._end = -(1 << 20)  # the last word of the last tile
        self._score_free = -(1 << 20)  # the earliest end of the next score row
        self._done = -1
        self.reads = {memory: Client() for memory in (Memory.X, Memory.W, Memory.R)}
        self.writes = {memory: Client() for memory in (Memory.X, Memory.W, Memory.R)}
        self.stall_drain = self.stall_parameters = 0
        self.active: list[
            tuple[int, int]
        ] = []  # first and last cycle in which the feeder works on an instruction

    @property
    def notice(self) -> int:
        """Cycles before its first write in which an instruction is known to have been issued."""
        return self._timing.command + self._timing.column + self._timing.result

    def start(self, cycle: int, pc: int, instruction: Instruction) -> None:
        i = instruction.fields
        begin = max(cycle + self._timing.command, self._fed)
        self.ready = begin + 1  # the place of the next one is free
        tiles = ceil_div(i["columns"], self._lanes) * (1 + i["wide"])
        k, previous = i["k_words"], self._end
        if i["scale"] == Scale.LANE:
            self._feed_rows(i, begin, tiles)
        else:
            period = max(k, self._lanes)
            first = max(previous + self._lanes, begin + k)
            count = i["row_tiles"] * tiles
            if i["destination"] == Memory.S:
                self._feed_scores(i, first, count, period)
            else:
                self._end = first + (count - 1) * period
                self._use(i, first, count, tiles, period)
            self.stall_drain += self._end - begin - count * k
        self._fed = self._end
        self.active.append((begin + 1, self._end))
        self._finish(i)

    def _feed_scores(self, i: dict[str, int], first: int, tiles: int, period: int) -> None:
        """One row of tiles, whose last one waits until the columns of the row before are over."""
        self._end = max(first + (tiles - 1) * period, self._score_free)
        self._score_free = self._end + 2 * self._lanes - 1 + self._timing.again * i["columns"]
        if tiles > 1:
            self._use(i, first, tiles - 1, tiles, period)
        self._use(i, self._end, 1, tiles, period)

    def _feed_rows(self, i: dict[str, int], begin: int, tiles: int) -> None:
        """Scale LANE: each row of tiles waits for the drain, then reads N parameters."""
        k, lanes = i["k_words"], self._lanes
        period = max(k, lanes)
        at = begin + 1
        for _ in range(i["row_tiles"]):
            read = max(at, self._end + self._timing.column + lanes)
            first = read + lanes + k - 1
            self.stall_drain += read - at + (tiles - 1) * (period - k)
            self.stall_parameters += lanes
            self._end = first + (tiles - 1) * period
            self._use(i, first, tiles, tiles, period)
            at = self._end + 1

    def _use(self, i: dict[str, int], first: int, count: int, tiles: int, period: int) -> None:
        """Ports that ``count`` tiles use, of which ``tiles`` make a row, and the first of which ends at ``first``."""
        timing, k = self._timing, i["k_words"]
        words = first - k + 1 + timing.read
        self.reads[Memory.W].use(words, count, period, k)
        if i["operands"] != Operands.SW:
            self.reads[Memory.X].use(words, count, period, k)
        planes = 1 + i["wide"]
        drain = first + (planes - 1) * period + timing.column
        count, tiles, period = count // planes, tiles // planes, period * planes
        destination = i["destination"]
        if destination == Memory.R:
            self._columns(self.writes[Memory.R], drain + timing.result, i, count, tiles, period)
            if i["residual"]:
                self._columns(self.reads[Memory.R], drain + timing.residual, i, count, tiles, period)
        elif destination != Memory.S:
            self._words(self.writes[Memory(destination)], drain + timing.write, i, count, tiles, period)

    def _columns(
        self, client: Client, start: int, i: dict[str, int], count: int, tiles: int, period: int
    ) -> None:
        """A word for each column of ``count`` tiles; the last tile of a row may be narrower."""
        narrow = i["columns"] % self._lanes
        if not narrow or tiles == 1:
            client.use(start, count, period, min(i["columns"], self._lanes))
            return
        for row in range(start, start + count * period, tiles * period):
            client.use(row, tiles - 1, period, self._lanes)
            client.use(row + (tiles - 1) * period, 1, period, narrow)

    def _words(
        self, client: Client, start: int, i: dict[str, int], count: int, tiles: int, period: int
    ) -> None:
        """A word for each V columns of a row of tiles, with the last of them; the row's last word may have fewer."""
        lanes, depth, columns = self._lanes, self._depth, i["columns"]
        group, words = max(1, depth // lanes), max(1, lanes // depth)  # tiles of a word, words of a tile
        first = start + (group - 1) * period + min(depth, lanes) - 1
        if columns % max(depth, lanes) == 0:
            client.use(first, count // group, group * period, words, depth)
            return
        whole, rest = divmod(columns // depth, words)  # groups of tiles, words of the tile after them
        for row in range(0, count * period, tiles * period):
            if whole:
                client.use(first + row, whole, group * period, words, depth)
            if rest:
                client.use(first + row + whole * period, 1, period, rest, depth)
            if columns % depth:
                tile, column = divmod(columns - 1, lanes)
                client.use(start + row + tile * period + column, 1, period, 1)

    def _finish(self, i: dict[str, int]) -> None:
        timing = self._timing
        column = self._end + timing.column + (i["columns"] - 1) % self._lanes
        scored = timing.result + timing.score + timing.again * i["columns"]
        own = column + (scored if i["destination"] == Memory.S else timing.write)
        self._done = max(own, self._done + 1)
        self._complete(self._done)
