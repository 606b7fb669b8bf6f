"""The one exception of this room."""

from __future__ import annotations

from vitreous.spec.errors import VitreousError


class CompileError(VitreousError, ValueError):
    """A graph that the accelerator cannot run as it is; the sentence names the node, the operation and the
    layer, or the sizes."""


class MemoryFull(CompileError):
    """An on-chip memory, ``memory``, is too small for this plan; a plan that uses less memory may still fit."""

    def __init__(self, memory: str, sentence: str) -> None:
        super().__init__(sentence)
        self.memory = memory
