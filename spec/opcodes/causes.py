"""Why bytes move between DRAM and the chip: the compiler says it of every load and store, reports add the bytes up."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Cause(StrEnum):
    """Why an instruction moves bytes; ``CAUSES`` says what each means."""

    IMAGE = "input image"
    CONSTANTS = "constants"
    WEIGHTS = "weights"
    WEIGHTS_AGAIN = "weights again"
    PARAMETERS = "parameters"
    INSTRUCTIONS = "instructions"
    OUTPUT = "output"
    INTERMEDIATES = "intermediates"
    SCORES = "scores"


class Meaning(NamedTuple):
    """A cause in words, and whether the network cannot do without it (``needed``).

    The bytes of needed causes, each tensor's once, are the fewest that a program can move.
    """

    words: str
    needed: bool


CAUSES: Mapping[Cause, Meaning] = {
    Cause.IMAGE: Meaning("pixel rows of the input, unfolded into patches on the way", True),
    Cause.CONSTANTS: Meaning(
        "what the residual stream begins with: position embedding and class token", True
    ),
    Cause.WEIGHTS: Meaning("each weight for the first time", True),
    Cause.WEIGHTS_AGAIN: Meaning(
        "weights that were on the chip before and made room: a product works on its rows block by block",
        False,
    ),
    Cause.PARAMETERS: Meaning(
        "bias, multiplier and shift of output channels and scores, shifts of norms", True
    ),
    Cause.INSTRUCTIONS: Meaning("the program itself, as the machine fetches it", False),
    Cause.OUTPUT: Meaning("the result", True),
    Cause.INTERMEDIATES: Meaning(
        "tensors that an observed program stores so that they can be compared", False
    ),
    Cause.SCORES: Meaning(
        "scores that go to DRAM and back where the schedule does not fuse attention", False
    ),
}
