"""Lowering layer norms: by groups of row tiles, as soon as the preceding product has finished them."""

from __future__ import annotations

from vitreous.compiler.lowering.plan import Panel, Plan
from vitreous.compiler.operations import Norm
from vitreous.compiler.tiling import row_groups
from vitreous.spec.isa import Memory, Opcode


class Follower:
    """Emits a layer norm's groups while the product that makes its input finishes them; does nothing without a norm.
    The shifts of channels are loaded at once, before what the product loads.

    ``done`` tells that row tiles are final; while ``waiting`` they are only noted. ``finish`` emits what is left.
    """

    def __init__(self, plan: Plan, norm: Norm | None, stream: Panel) -> None:
        self.plan = plan
        self.norm = norm
        self.stream = stream
        self.waiting = not plan.budget.early_norm
        self._noted: list[range] = []
        if norm is not None:
            first, rows = 0, norm.rows
            if norm.tokens is not None:
                first = norm.tokens.start // plan.lanes * plan.lanes
                rows = min(plan.tiles(norm.tokens.stop) * plan.lanes, norm.rows) - first
            self.panel = plan.panel(norm.output, Memory.X, rows, norm.channels, norm.layer, row_start=first)
            self.shifts = plan.shifts(norm) if norm.shifted else None

    @property
    def words(self) -> int:
        """Words of X that the norm's panel takes."""
        return self.panel.buffer.words if self.norm is not None else 0

    def done(self, tiles: range) -> None:
        if self.norm is None:
            return
        if self.waiting:
            if self._noted and self._noted[-1].stop == tiles.start:
                tiles = range(self._noted.pop().start, tiles.stop)
            self._noted.append(tiles)
            return
        self._release()
        self._emit(tiles)

    def finish(self) -> None:
        """After the product: emit the rest, and make the norm's output known."""
        if self.norm is None:
            return
        for noted in self._noted:
            for group in row_groups(noted):
                self._emit(group)
        self._noted.clear()
        self.plan.panels[self.norm.output] = self.panel
        self.plan.observe(self.norm.output, self.panel, self.norm.layer)

    def _release(self) -> None:
        for noted in self._noted:
            self._emit(noted)
        self._noted.clear()

    def _emit(self, tiles: range) -> None:
        norm, lanes = self.norm, self.plan.lanes
        assert norm is not None
        wanted = self.panel.tiles(lanes)
        start, stop = max(tiles.start, wanted.start), min(tiles.stop, wanted.stop)
        if start >= stop:
            return
        addresses = {"r_base": self.stream.word(start, lanes), "x_base": self.panel.word(start, lanes)}
        unused = {"shift_base": 0} if self.shifts is None else {}
        if self.shifts is not None:
            addresses["shift_base"] = (self.shifts, 0)
        self.plan.emitter.emit(
            Opcode.NORM,
            norm.layer,
            addresses,
            **unused,
            r_stride=self.stream.stride,
            channels=norm.channels,
            row_tiles=stop - start,
            x_stride=self.panel.stride,
            epsilon=norm.epsilon,
            multiplier=norm.multiplier,
            shift=norm.shift,
            zero_point=norm.zero_point,
            centred=int(norm.centred),
            shifted=int(norm.shifted),
        )


def lower_norm(plan: Plan, norm: Norm) -> None:
    """A layer norm that follows no product: after pooling, or the second reader of one tensor."""
    stream = plan.panels[norm.input]
    follower = Follower(plan, norm, stream)
    for group in row_groups(stream.tiles(plan.lanes)):
        follower.done(group)
    follower.finish()
