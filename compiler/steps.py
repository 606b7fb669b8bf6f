"""Steps: instructions whose addresses are still buffers, and the emitter that puts them in program order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vitreous.compiler.image import ImageBuilder
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, make
from vitreous.spec.opcodes.causes import Cause
from vitreous.spec.program import Placement


@dataclass(eq=False)
class Buffer:
    """A part of an on-chip memory, placed by ``memory``. ``where``: "low", "high" or "oldest" (see ``memory``)."""

    name: str
    memory: Memory
    words: int
    layer: str
    where: str = "low"
    base: int = -1


Address = tuple[Buffer, int]
"""A word of a buffer."""


class Moved(NamedTuple):
    """What a transfer moves between DRAM and the chip, and why. ``tensor`` : a name of the graph, or of a constant."""

    tensor: str
    cause: Cause


TRANSFERS = (Opcode.LOAD, Opcode.LOAD_PATCHES, Opcode.STORE)
"""Opcodes that move bytes between DRAM and the chip."""


@dataclass(eq=False)
class Step:
    """An instruction without tokens. ``addresses`` maps an address field to a word of a buffer; ``slot`` is the one of
    S that a transfer represents (``lowering.spill``); ``moved``: what a transfer moves, None for all others.
    """

    opcode: Opcode
    label: str
    fields: dict[str, int]
    addresses: dict[str, Address]
    slot: int | None = None
    moved: Moved | None = None

    def __post_init__(self) -> None:
        if (self.opcode in TRANSFERS) != (self.moved is not None):
            raise ValueError(
                f"{self.opcode.name} of layer {self.label}: a transfer needs a cause, and nothing else has one"
            )

    def resolve(self) -> Instruction:
        """The instruction, once every buffer has its base."""
        located = {name: buffer.base + word for name, (buffer, word) in self.addresses.items()}
        return make(self.opcode, label=self.label, **self.fields, **located)


_MATMUL_DEFAULTS = {
    "operands": int(Operands.XW),
    "scale": 0,
    "activation": 0,
    "residual": 0,
    "slot": 0,
    "a_stride": 0,
    "b_stride": 0,
    "row_tiles": 1,
    "o_stride": 0,
    "zero_point": 0,
    "multiplier": 0,
    "shift": 0,
    "extra_planes": 0,
    "first_block": 0,
    "last_block": 0,
}


@dataclass
class Emitter:
    """Collects steps in program order, with the memory image that they load from and the tensors that they store.

    A deferred step is emitted after the next one that does not need its result: so a matrix instruction that
    waits for the one directly before it lets an independent one go first.
    """

    config: AcceleratorConfig
    image: ImageBuilder
    observe: bool
    steps: list[Step] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)
    write_size: int = 0
    _deferred: tuple[Step, Address] | None = None

    @property
    def count(self) -> int:
        """Steps so far, the deferred one included."""
        return len(self.steps) + (self._deferred is not None)

    def emit(
        self,
        opcode: Opcode,
        label: str,
        addresses: Mapping[str, Address],
        **fields: int,
    ) -> None:
        """Append an instruction that moves nothing between DRAM and the chip."""
        self._append(Step(opcode, label, fields, dict(addresses)))

    def transfer(
        self,
        opcode: Opcode,
        label: str,
        addresses: Mapping[str, Address],
        moved: Moved,
        *,
        slot_of_scores: int | None = None,
        **fields: int,
    ) -> None:
        """Append a transfer; ``slot_of_scores`` is its ``Step.slot``."""
        self._append(Step(opcode, label, fields, dict(addresses), slot_of_scores, moved))

    def _append(self, step: Step) -> None:
        """After what was deferred, or before it where it does not need its result."""
        if self._deferred is not None and step.opcode in (Opcode.MATMUL, Opcode.STORE):
            waiting, result = self._deferred
            self._deferred = None
            order = [waiting, step] if _reads(step, result) else [step, waiting]
            self.steps += order
        else:
            self.steps.append(step)

    def matmul(
        self, label: str, addresses: Mapping[str, Address], *, defer: bool = False, **fields: int
    ) -> None:
        """A MATMUL; fields not given are zero, operands XW, one row tile."""
        absent: dict[str, int] = {
            name: 0 for name in ("a_base", "b_base", "o_base", "p_base") if name not in addresses
        }
        values = {**_MATMUL_DEFAULTS, **absent, **fields}
        if defer:
            self.flush()
            self._deferred = Step(Opcode.MATMUL, label, values, dict(addresses)), addresses["o_base"]
        else:
            self.emit(Opcode.MATMUL, label, addresses, **values)

    def flush(self) -> None:
        """Emit what was deferred."""
        if self._deferred is not None:
            self.steps.append(self._deferred[0])
            self._deferred = None

    def load(self, buffer: Buffer, word: int, words: int, offset: int, label: str, moved: Moved) -> None:
        """LOAD one contiguous row of words."""
        self.transfer(
            Opcode.LOAD,
            label,
            {"base": (buffer, word)},
            moved,
            memory=int(buffer.memory),
            words=words,
            rows=1,
            stride=words,
            dram_offset=offset,
            dram_stride=0,
        )


def _reads(step: Step, result: Address) -> bool:
    """Whether ``step`` touches the word ``result``: exactly for its A operand and a STORE, by the buffer for
    the others."""
    buffer, word = result
    if step.opcode is Opcode.STORE:
        source, base = step.addresses["base"]
        return source is buffer and base <= word < base + step.fields["words"]
    if any(step.addresses[name][0] is buffer for name in ("b_base", "o_base") if name in step.addresses):
        return True
    if "a_base" not in step.addresses:
        return False
    source, base = step.addresses["a_base"]
    span = max(step.fields["row_tiles"] * step.fields["a_stride"], step.fields["k_words"])
    return source is buffer and base <= word < base + span
