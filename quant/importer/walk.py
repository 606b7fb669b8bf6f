"""The state of one walk over an exported graph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx

from vitreous.quant.errors import Place
from vitreous.quant.importer.float_ir import Image, Restart, Start
from vitreous.quant.importer.view import View


@dataclass
class Walk:
    """The graph, the input's shape ``(B, C, H, W)``, the values that are still needed, what was made once, what of the
    model is left out (``notes``), and what was refused so far."""

    module: fx.GraphModule
    shape: torch.Size
    values: dict[fx.Node, Any] = field(default_factory=dict)
    image: Image | None = None
    starts: list[tuple[View, Start]] = field(default_factory=list)
    restarts: list[tuple[View, Restart]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: list[Place] = field(default_factory=list)
    _last: dict[fx.Node, fx.Node] | None = None

    @property
    def batch(self) -> int:
        """Images in the batch."""
        return self.shape[0]

    def resolve(self, arguments: Any) -> Any:
        """Arguments of a node with every node in them replaced by its value."""
        return fx.node.map_arg(arguments, lambda node: self.values[node])

    def attribute(self, path: str) -> Any:
        """A parameter, buffer or constant of the graph's module."""
        found: Any = self.module
        for name in path.split("."):
            found = getattr(found, name)
        return found.detach() if isinstance(found, Tensor) else found

    def store(self, node: fx.Node, value: Any) -> None:
        """Keep a node's value; the first node that has a source's plain elements becomes the one to observe."""
        if isinstance(value, View):
            value = replace(value, node=node)
            plain = value.gain is None and value.offset is None
            if plain and value.source.observe is None and value.index.numel() == self._size(value):
                value.source.observe = node
        self.values[node] = value

    def release(self, node: fx.Node) -> None:
        """Forget the operands whose last user is ``node``: element numbers of all of a model take gigabytes."""
        if self._last is None:
            self._last = {}
            for user in self.module.graph.nodes:
                self._last.update(dict.fromkeys(user.all_input_nodes, user))
        for operand in node.all_input_nodes:
            if self._last[operand] is node:
                self.values.pop(operand, None)

    def _size(self, view: View) -> int:
        return self.batch * view.source.tokens * view.source.width
