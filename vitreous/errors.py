"""The error of the command line and of whole runs."""

from __future__ import annotations

from vitreous.spec.errors import VitreousError


class RunError(VitreousError, ValueError):
    """A run that cannot be done as asked; the sentence says what to change."""
