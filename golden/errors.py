"""The one exception of this room."""

from __future__ import annotations

from vitreous.spec.errors import VitreousError


class GoldenError(VitreousError, ValueError):
    """What cannot be computed as the numerics define it; the sentence names the node or the instruction."""
