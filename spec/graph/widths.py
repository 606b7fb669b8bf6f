"""Why a graph's probabilities have the bits that they have: a word of its notes, which the report explains."""

from __future__ import annotations

from enum import StrEnum


class WidthReason(StrEnum):
    """Who decided between 8 and 16 bits for the probabilities of attention."""

    MEASURED = "measured"
    """Calibration, by the error of the network's output with 8 bits everywhere and with 16."""
    GIVEN = "given"
    """The user, for all attentions."""
    ONLY = "only"
    """The machine, which multiplies 8 bits alone."""
