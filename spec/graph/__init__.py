"""The integer graph: what a quantized model computes, operation by operation, before any thought of hardware.

A graph is a list of nodes in execution order over named tensors. It is fully integer: real scales are kept beside each
tensor as notes for reading results back (``value = scale * (integer - zero_point)``), no operation uses them.
docs/numerics.md gives each operation's formula; ``golden.interpreter`` executes it.
"""

from vitreous.spec.graph.file import load, save
from vitreous.spec.graph.graph import Graph
from vitreous.spec.graph.node import SIGNATURES, GraphError, Node, Op, Rows, Signature, Tensor, TensorType

__all__ = [
    "SIGNATURES",
    "Graph",
    "GraphError",
    "Node",
    "Op",
    "Rows",
    "Signature",
    "Tensor",
    "TensorType",
    "load",
    "save",
]
