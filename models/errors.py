"""The error of the models room."""

from __future__ import annotations

from vitreous.spec.errors import VitreousError


class ModelError(VitreousError):
    """A model that cannot be named, found, built or loaded; the message is one sentence for the user."""
