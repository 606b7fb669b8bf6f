"""The exception of this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import fx

from vitreous.spec.errors import VitreousError


class SaturationWarning(UserWarning):
    """Calibration saw more values beyond a range of the machine than can be ignored; names tensor, share and remedy."""


class AccuracyWarning(UserWarning):
    """The integer network's output is far from the float network's."""


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


@dataclass(frozen=True)
class Place:
    """What is wrong, in which operator of which module, and what would be accepted."""

    problem: str
    operator: str
    module: str
    supported: str


class Refusal(QuantError):
    """A model with places that cannot be imported: ``places`` has all that were found, the message one line for each
    problem."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = tuple(places)
        lines = _lines(self.places)
        one = f"The model has {len(lines)} things that cannot be quantized:"
        super().__init__(
            lines[0]
            if len(lines) == 1
            else "\n".join([one, *(f"{number}. {line}" for number, line in enumerate(lines, 1))])
        )


_NAMED_MODULES = 3


def _lines(places: Sequence[Place]) -> list[str]:
    """One sentence for each problem, with the modules that have it."""
    modules: dict[tuple[str, str, str], list[str]] = {}
    for place in places:
        modules.setdefault((place.problem, place.operator, place.supported), []).append(place.module)
    return [
        f"{problem} (operator {operator} in {_where(found)}); supported: {supported}"
        for (problem, operator, supported), found in modules.items()
    ]


def _where(modules: Sequence[str]) -> str:
    names = list(dict.fromkeys(modules))
    if names == [""]:
        return "the model's own forward"
    shown = ", ".join(f"'{name}'" if name else "the model's own forward" for name in names[:_NAMED_MODULES])
    rest = len(names) - _NAMED_MODULES
    return f"module{'s' * (len(names) > 1)} {shown}" + (f" and {rest} more" if rest > 0 else "")


def refuse(node: fx.Node, problem: str, supported: str) -> Refusal:
    """The error for ``node``: what is wrong, in which operator and module, and what would be accepted."""
    return Refusal([Place(problem, str(node.target), module_path(node), supported)])
