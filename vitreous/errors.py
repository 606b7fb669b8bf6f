"""The error of the command line and of whole runs."""

from __future__ import annotations


class RunError(ValueError):
    """A run that cannot be done as asked; the sentence says what to change."""
