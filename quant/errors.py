"""The exception of this room."""

from __future__ import annotations

from collections.abc import Mapping

from torch import fx

from vitreous.spec.errors import VitreousError


class QuantError(VitreousError, ValueError):
    """A model, a scheme or calibration data that cannot be quantized; the sentence names what and where."""


def module_path(node: fx.Node) -> str:
    """The dotted path, in the user's model, of the module that made ``node``; empty for the model's own forward."""
    stack = node.meta.get("nn_module_stack")
    if not isinstance(stack, Mapping) or not stack:
        return ""
    path = str(list(stack.values())[-1][0])
    # A nested export prefixes the path by its own name for the root.
    return path.removeprefix("L['self'].").removeprefix("L__self__").lstrip(".")


def refuse(node: fx.Node, problem: str, supported: str) -> QuantError:
    """The error for ``node``: what is wrong, in which operator and module, and what would be accepted."""
    path = module_path(node)
    where = f"module '{path}'" if path else "the model's own forward"
    return QuantError(f"{problem} (operator {node.target} in {where}); supported: {supported}")
