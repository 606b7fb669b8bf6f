"""A case: a program in its memory image, the host's registers, and what the host does while it runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from vitreous.golden.machine.faults import Windows
from vitreous.golden.machine.machine import decode_word
from vitreous.spec.isa import CONTROL_RESET, INSTRUCTION_BYTES, PC_BITS, Instruction, Register

MOST_INSTRUCTIONS = 1 << PC_BITS
"""PROGRAM_LENGTH counts as at most so many."""


class Kind(StrEnum):
    """What is done to a correct program."""

    FLIPS = "bit flips"
    WORDS = "random words"
    EDGES = "edges"
    TOKENS = "tokens"
    HOST = "host"


class Action(NamedTuple):
    """The host writes ``value`` to ``register`` so many cycles after the start, if the program still runs."""

    after: int
    register: int
    value: int

    @property
    def resets(self) -> bool:
        """Whether the run ends by it."""
        return self.register == Register.CONTROL and bool(self.value & CONTROL_RESET)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fuzzed program. image : of the read window, program included. window : of the write window, before.

    ``write_size`` and ``read_size`` are what the host says; the bytes may be fewer.
    """

    kind: Kind
    image: bytes
    window: bytes
    read_base: int
    read_size: int
    write_base: int
    write_size: int
    offset: int
    length: int
    actions: tuple[Action, ...] = ()

    @property
    def sizes(self) -> Windows:
        return Windows(self.read_size, self.write_size)

    @property
    def bases(self) -> Windows:
        return Windows(self.read_base, self.write_base)

    @property
    def settings(self) -> dict[str, int]:
        """The host's registers."""
        return {
            "READ_BASE": self.read_base,
            "READ_SIZE": self.read_size,
            "WRITE_BASE": self.write_base,
            "WRITE_SIZE": self.write_size,
            "PROGRAM_OFFSET": self.offset,
            "PROGRAM_LENGTH": self.length,
        }

    def words(self) -> list[bytes]:
        """The program's instructions, as far as the image holds them."""
        count = min(
            self.length, MOST_INSTRUCTIONS, max(0, len(self.image) - self.offset) // INSTRUCTION_BYTES
        )
        starts = range(self.offset, self.offset + count * INSTRUCTION_BYTES, INSTRUCTION_BYTES)
        return [self.image[start : start + INSTRUCTION_BYTES] for start in starts]

    def code(self) -> list[Instruction | None]:
        """The same, decoded as the machine does."""
        return [decode_word(word) for word in self.words()]

    def with_words(self, words: Sequence[bytes]) -> Case:
        """Another program at the same place; it may be shorter."""
        text = b"".join(words)
        rest = self.image[self.offset + len(text) :]
        return replace(self, image=self.image[: self.offset] + text + rest, length=len(words))


def place_windows(case: Case, rng: random.Random) -> Case:
    """Windows somewhere in the address space, now and then at its end. The simulated DRAM has 128 KiB that repeat;
    their second quarter and second half are the windows'."""
    high = rng.choice((0, 0, rng.getrandbits(14)))
    bases = [high << 17 | 0x8000, rng.choice((high, rng.getrandbits(14))) << 17 | 0x10000]
    if rng.random() < 0.5:
        bases.reverse()
    return replace(case, read_base=bases[0], write_base=bases[1])
