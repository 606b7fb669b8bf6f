"""The state of one walk over an exported graph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx

from vitreous.quant.importer.float_ir import Image, Start
from vitreous.quant.importer.view import View


@dataclass
class Walk:
    """The graph, the input's shape ``(B, C, H, W)``, the values so far, and what was made once."""

    module: fx.GraphModule
    shape: torch.Size
    values: dict[fx.Node, Any] = field(default_factory=dict)
    image: Image | None = None
    starts: list[tuple[View, Start]] = field(default_factory=list)

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

    def _size(self, view: View) -> int:
        return self.batch * view.source.tokens * view.source.width
