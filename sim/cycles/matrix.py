"""The matrix unit: the operand sequencer's tiles, the readout's columns, retirement (hw.matrix.operand_sequencer,
hw.matrix.readout, hw.control.retire)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import assert_never

from vitreous.sim.cycles.ports import Client
from vitreous.sim.cycles.timing import matrix_timing
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, Queue, Scale, check_queue
from vitreous.spec.layout import ceil_div
from vitreous.spec.opcodes.matmul import has_result

_Use = tuple[Client, int, int, int, int, int]
"""Who uses a port, and ``Client.use``'s arguments, the first one after the end of a tile."""
_kind = itemgetter(
    *("operands", "destination", "scale", "residual", "k_words", "row_tiles", "columns", "extra_planes"),
    "last_block",
)
"""The fields that decide about an instruction's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What instructions that differ in addresses and constants only have in common.

    by_lanes, scores : scale LANE, destination S; tiles, count, period : tiles of a row and of all, and the cycles from
    one to the next; scored : from the end of a score row to the earliest end of the next one; finish : from the end to
    done; uses, last_uses : of the ports, after the end of the first tile (of a row: ``by_lanes``), and after that of
    the last one of a score row.
    """

    k: int
    by_lanes: bool
    scores: bool
    tiles: int
    count: int
    period: int
    scored: int
    finish: int
    uses: tuple[_Use, ...]
    last_uses: tuple[_Use, ...]


class MatrixModel:
    """Nothing stalls the unit, so each instruction's times follow from its start: ``ends`` of its tiles by

        end = max(end of the previous tile + N, first cycle + k_words - 1)

    Each pass of a tile counts as a tile, but only the last one has columns. The last tile of a score row is later
    where the softmax still goes through the previous row.

    watched : memories whose reads matter to others: those that a STORE reads, and P where a NORM reads shifts.
    reads, writes, fed : the cycles in which it uses the memories' ports and its array.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        complete: Callable[[int], None],
        watched: Container[Memory] = frozenset(Memory),
    ) -> None:
        check_queue(Queue.MATRIX, Opcode.MATMUL)
        self._lanes, self._depth = config.array.lanes, config.array.depth
        self._timing = matrix_timing(config)
        self._watched, self._complete = watched, complete
        self._kinds: dict[tuple[int, ...], _Kind] = {}
        self.ready: int | None = 0
        self._fed = -1  # the last cycle in which the operand sequencer was active
        self._end = -(1 << 20)  # the last word of the last tile
        self._score_free = -(1 << 20)  # the earliest end of the next score row
        self._done = -1
        self.reads = {memory: Client() for memory in (Memory.X, Memory.W, Memory.R, Memory.P)}
        self.writes = {memory: Client() for memory in (Memory.X, Memory.W, Memory.R)}
        self.stall_readout = self.stall_parameters = 0
        self.active: list[
            tuple[int, int]
        ] = []  # first and last cycle in which the operand sequencer works on an instruction

    @property
    def notice(self) -> int:
        """Cycles before its first write in which an instruction is known to have been issued."""
        return self._timing.command + self._timing.column + self._timing.result

    def start(self, cycle: int, pc: int, instruction: Instruction) -> None:
        key = _kind(instruction.fields)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._kind(instruction.fields)
        begin = cycle + self._timing.command
        if begin < self._fed:
            begin = self._fed
        self.ready = begin + 1  # the place of the next one is free
        if kind.by_lanes:
            self._feed_rows(kind, begin)
        else:
            first = begin + kind.k
            if first < self._end + self._lanes:
                first = self._end + self._lanes
            self._use(kind.uses, first)
            end = first + (kind.count - 1) * kind.period
            if kind.scores:  # one row, whose last tile waits until the columns of the row before are over
                end = max(end, self._score_free)
                self._score_free = end + kind.scored
                self._use(kind.last_uses, end)
            self._end = end
            self.stall_readout += end - begin - kind.count * kind.k
        self._fed = end = self._end
        self.active.append((begin + 1, end))
        self._done = max(end + kind.finish, self._done + 1)
        self._complete(self._done)

    def _feed_rows(self, kind: _Kind, begin: int) -> None:
        """Scale LANE: each row of tiles waits for the readout, then reads N parameters."""
        lanes, span = self._lanes, (kind.tiles - 1) * kind.period
        at = begin + 1
        for _ in range(kind.count // kind.tiles):
            read = max(at, self._end + self._timing.column + lanes)
            first = read + lanes + kind.k - 1
            self.stall_readout += read - at + (kind.tiles - 1) * (kind.period - kind.k)
            self.stall_parameters += lanes
            self._end = first + span
            self._use(kind.uses, first)
            at = self._end + 1

    def _use(self, uses: Sequence[_Use], first: int) -> None:
        for client, start, repeats, period, count, step in uses:
            client.use(first + start, repeats, period, count, step)

    # ------------------------------------------------------------------- what all instructions of a kind have in common
    def _kind(self, i: dict[str, int]) -> _Kind:
        timing, lanes, columns = self._timing, self._lanes, i["columns"]
        tiles = ceil_div(columns, lanes) * (1 + i["extra_planes"])
        count, period = i["row_tiles"] * tiles, max(i["k_words"], lanes)
        scores, by_lanes = i["destination"] == Memory.S, i["scale"] == Scale.LANE
        finish = timing.column + (columns - 1) % lanes + timing.write
        if scores:
            row = timing.score + timing.again * columns if i["last_block"] else timing.block
            finish += timing.result + row - timing.write
        together = tiles if by_lanes else count - scores
        whole = (tiles - 1) * lanes  # columns of a score row before its last tile
        before, last = ({**i, "columns": whole}, {**i, "columns": columns - whole}) if scores else (i, i)
        return _Kind(
            k=i["k_words"],
            by_lanes=by_lanes,
            scores=scores,
            tiles=tiles,
            count=count,
            period=period,
            scored=2 * lanes - 1 + timing.again * columns,
            finish=finish,
            uses=tuple(self._uses(before, together, tiles, period)) if together else (),
            last_uses=tuple(self._uses(last, 1, 1, period)) if scores else (),
        )

    def _uses(self, i: dict[str, int], count: int, tiles: int, period: int) -> Iterator[_Use]:
        """Ports that ``count`` tiles use, of which ``tiles`` make a row, after the end of the first."""
        timing, k = self._timing, i["k_words"]
        words = timing.read + 1 - k
        if Memory.W in self._watched:
            yield self.reads[Memory.W], words, count, period, k, 1
        if i["operands"] != Operands.SW and Memory.X in self._watched:
            yield self.reads[Memory.X], words, count, period, k, 1
        if not has_result(i):
            return
        planes = 1 + i["extra_planes"]
        readout = (planes - 1) * period + timing.column
        count, tiles, period = count // planes, tiles // planes, period * planes
        if Memory.P in self._watched:
            yield from self._parameters(Scale(i["scale"]), readout, i, count, tiles, period)
        destination = Memory(i["destination"])
        if destination is Memory.R:
            yield from self._columns(self.writes[Memory.R], readout + timing.result, i, count, tiles, period)
            if i["residual"]:
                yield from self._columns(
                    self.reads[Memory.R], readout + timing.residual, i, count, tiles, period
                )
        elif destination is not Memory.S:
            yield from self._words(self.writes[destination], readout + timing.write, i, count, tiles, period)

    def _parameters(
        self, scale: Scale, readout: int, i: dict[str, int], count: int, tiles: int, period: int
    ) -> Iterator[_Use]:
        """A word of P for each column, or one for each lane before a row of tiles, or none."""
        lanes = self._lanes
        match scale:
            case Scale.COLUMN | Scale.TENSOR:
                yield from self._columns(self.reads[Memory.P], readout, i, count, tiles, period)
            case Scale.LANE:
                yield self.reads[Memory.P], 1 - lanes - i["k_words"], 1, lanes, lanes, 1
            case Scale.SOFTMAX:
                pass
            case _:
                assert_never(scale)

    def _columns(
        self, client: Client, start: int, i: dict[str, int], count: int, tiles: int, period: int
    ) -> Iterator[_Use]:
        """A word for each column of ``count`` tiles; the last tile of a row may be narrower."""
        narrow = i["columns"] % self._lanes
        if not narrow or tiles == 1:
            yield client, start, count, period, min(i["columns"], self._lanes), 1
            return
        for row in range(start, start + count * period, tiles * period):
            yield client, row, tiles - 1, period, self._lanes, 1
            yield client, row + (tiles - 1) * period, 1, period, narrow, 1

    def _words(
        self, client: Client, start: int, i: dict[str, int], count: int, tiles: int, period: int
    ) -> Iterator[_Use]:
        """A word for each V columns of a row of tiles, with the last of them; the row's last word may have fewer."""
        lanes, depth, columns = self._lanes, self._depth, i["columns"]
        group, words = max(1, depth // lanes), max(1, lanes // depth)  # tiles of a word, words of a tile
        first = start + (group - 1) * period + min(depth, lanes) - 1
        if columns % max(depth, lanes) == 0:
            yield client, first, count // group, group * period, words, depth
            return
        whole, rest = divmod(columns // depth, words)  # groups of tiles, words of the tile after them
        for row in range(0, count * period, tiles * period):
            if whole:
                yield client, first + row, whole, group * period, words, depth
            if rest:
                yield client, first + row + whole * period, 1, period, rest, depth
            if columns % depth:
                tile, column = divmod(columns - 1, lanes)
                yield client, start + row + tile * period + column, 1, period, 1, 1
