"""What an upset leads to, and the kinds of state that it may hit."""

from __future__ import annotations

import re
from enum import StrEnum

from vitreous.sim.run.state import Element
from vitreous.sim.upsets.runs import Upset


class Verdict(StrEnum):
    """The worst that happened, worst first."""

    OUTSIDE = "write outside"
    HANG = "hang"
    WRONG = "wrong result"
    ERROR = "error code"
    MASKED = "masked"


def verdict(upset: Upset) -> Verdict:
    """A run that ended without its interrupt is a hang too: a host that waits for it sees no end."""
    if upset.outside:
        return Verdict.OUTSIDE
    if upset.error is not None:
        return Verdict.ERROR
    if not upset.done or not upset.interrupt:
        return Verdict.HANG
    return Verdict.WRONG if upset.different else Verdict.MASKED


class Stratum(StrEnum):
    """Flips are shared out among these, or the large memories would take nearly all of them."""

    REGISTERS = "flip-flops"
    QUEUES = "queues and small memories"
    MEMORIES = "X, W, R, P and S"


SHARES = {Stratum.REGISTERS: 70, Stratum.QUEUES: 20, Stratum.MEMORIES: 10}
"""Percent of the flips."""

_LARGE = re.compile(r"(memory_[xwrp]|matrix\.scores)\.ram_1r1w_\w+\.array")


def stratum(element: Element) -> Stratum:
    """Of the state of an accelerator."""
    if not element.words:
        return Stratum.REGISTERS
    return Stratum.MEMORIES if _LARGE.fullmatch(element.path) else Stratum.QUEUES


class Role(StrEnum):
    """What a piece of state is for, as far as protection tells it apart."""

    TOKENS = "tokens"
    DESCRIPTORS = "descriptors"
    BURSTS = "bursts"
    REGISTERS = "host registers"
    DATA = "the rest"


_ROLES = {
    Role.TOKENS: re.compile(r"tokens\..*"),
    # Instructions from the first beat on: in queues, and where a unit holds one.
    Role.DESCRIPTORS: re.compile(
        r"fetch\.(beats\..*|(o__|position|_gathered|taken|pending).*)|queue_\w+\..*|load\.pending\..*"
        r"|load\.front\.o__.*|load\.back\.(_command|address|row|_left|_last_row|loading|unfolding|filling|to_).*"
        r"|load\.back\.unfolder\.fields.*|matrix\.descriptors\..*|matrix\.sequencer\.(_next|_held)(_parity)?"
        r"|vector\.task.*|store\._command.*|store\.words\.(fields|address|x__addr|next_row|rows_left|words_left).*"
    ),
    # From a row of bytes to the address channels, and what counts beats and answers.
    Role.BURSTS: re.compile(
        r"(load|store|fetch)\.bursts\..*|load\.front\.(rows|pixels)\..*|(load\.front|store)\.row_bytes.*"
        r"|store\.(rows|lengths)\..*|store\.(bus__aw|bus__wlast|bus__wvalid|bus__wstrb|sent|parity).*|channel\..*"
        r"|(load|store)\.outstanding.*|fetch\.(room|waiting).*"
    ),
    Role.REGISTERS: re.compile(r"registers\..*"),
}
"""By paths. What no pattern names is data, arithmetic, addresses on the chip, and state machines."""


def role(path: str) -> Role:
    """Of the element at ``path``."""
    return next((role for role, pattern in _ROLES.items() if pattern.fullmatch(path)), Role.DATA)
