"""A graph with fast look-ups for pattern matching, and the set of nodes that fused operations have taken."""

from __future__ import annotations

from vitreous.compiler import checks
from vitreous.compiler.errors import CompileError
from vitreous.compiler.needs import Need
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph, Node, Op


class Pattern:
    """Producers and consumers of every tensor. ``taken``: names of nodes that are part of a fused operation already;
    ``needs``: what the matched operations need of the machine, met or not.
    """

    def __init__(self, graph: Graph, config: AcceleratorConfig) -> None:
        self.graph = graph
        self.config = config
        self.taken: set[str] = set()
        self.needs: list[Need] = []
        self._producer: dict[str, Node] = {}
        self._consumers: dict[str, list[Node]] = {}
        self._position = {node.name: index for index, node in enumerate(graph)}
        for node in graph:
            for name in node.outputs:
                self._producer[name] = node
            for name in dict.fromkeys(node.inputs):
                self._consumers.setdefault(name, []).append(node)

    def take(self, node: Node) -> None:
        self.taken.add(node.name)

    def producer(self, tensor: str) -> Node:
        return self._producer[tensor]

    def consumers(self, tensor: str) -> list[Node]:
        return self._consumers.get(tensor, [])

    def shape(self, tensor: str) -> tuple[int, int]:
        """Rows and columns of a matrix."""
        rows, columns = self.graph.tensors[tensor].shape
        return rows, columns

    def only_consumer(self, node: Node, op: Op) -> Node | None:
        """The one consumer of ``node``'s first output if it is an ``op``, else None."""
        users = self.consumers(node.outputs[0])
        return users[0] if len(users) == 1 and users[0].op is op else None

    def follow(self, node: Node, op: Op) -> Node:
        """Take the one consumer of ``node``, which must be an ``op``."""
        following = self.only_consumer(node, op)
        if following is None:
            users = ", ".join(f"{user.name} ({user.op})" for user in self.consumers(node.outputs[0]))
            raise CompileError(
                f"{checks.where(node)}: must be followed by {op} alone, not by {users or 'nothing'}"
            )
        self.take(following)
        return following

    def other_input(self, add: Node, tensor: str) -> str:
        """Take the ADD; its operand beside ``tensor``."""
        self.take(add)
        first, second = add.inputs
        if first == second:
            raise CompileError(f"{checks.where(add)}: adds {tensor} to itself, which is not supported")
        return second if first == tensor else first

    def consumed_in_place(self, add: Node, residual: str) -> None:
        """The addition overwrites ``residual``: it must be a stream in R that nothing needs afterwards."""
        source = self.producer(residual)
        if source.op not in (Op.ADD, Op.PAD_TOKENS, Op.REQUANTIZE, Op.MEAN_TOKENS):
            raise CompileError(
                f"{checks.where(add)}: its operand {residual} ({source.op}) is not a residual stream"
            )
        for user in self._readers(residual):
            if self._position[user.name] > self._position[add.name]:
                raise CompileError(
                    f"{checks.where(user)}: needs {residual} after {add.name} has been added to it in place"
                )

    def _readers(self, tensor: str) -> list[Node]:
        """Consumers, and those of views of it."""
        users = list(self.consumers(tensor))
        for user in self.consumers(tensor):
            if user.op is Op.SELECT_TOKEN:
                users += self._readers(user.outputs[0])
        return users
