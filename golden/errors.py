"""The one exception of this room."""

from __future__ import annotations


class GoldenError(ValueError):
    """What cannot be computed as the numerics define it; the sentence names the node or the instruction."""
