"""The one exception of this room."""

from __future__ import annotations

from vitreous.spec.errors import VitreousError


class ReportError(VitreousError, ValueError):
    """Recorded data that is incomplete, contradicts itself or has no meaning; the sentence names the entry."""
