"""The imports of Python source as data: which modules a file names, and the circles among modules."""

import ast
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

# module: {imported module: line of the first import}
Graph = dict[str, dict[str, int]]


def imported_names(source: str, package: str) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of every import in ``source``, a module of the dotted ``package``.

    ``name`` is empty for ``import module``. Imports inside functions and under TYPE_CHECKING are seen too.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, base, alias.name


def package_of(module: str, path: Path) -> str:
    """The package that relative imports in ``module`` start from."""
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


def import_graph(modules: Mapping[str, Path]) -> Graph:
    """Who imports whom among ``modules``.

    ``from package import name`` leads to the submodule ``package.name`` where there is one, else to ``package``
    itself: so a package may gather the names of its submodules, and a submodule may not import what was gathered.
    """
    graph: Graph = {}
    for module, path in modules.items():
        edges: dict[str, int] = {}
        for line, base, name in imported_names(path.read_text(), package_of(module, path)):
            submodule = f"{base}.{name}"
            target = submodule if submodule in modules else base
            if target in modules and target != module:
                edges.setdefault(target, line)
        graph[module] = edges
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """The shortest circle through each module that lies in one, each once: ``[a, b, a]``."""
    found: dict[frozenset[str], list[str]] = {}
    for start in sorted(graph):
        chain = _way_back(graph, start)
        if chain:
            found.setdefault(frozenset(chain), chain)
    return list(found.values())


def _way_back(graph: Graph, start: str) -> list[str]:
    """A shortest way along imports from ``start`` to itself, empty where there is none."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        module = queue.popleft()
        for target in sorted(graph[module]):
            if target == start:
                chain = [start, module]
                while chain[-1] != start:
                    chain.append(came_from[chain[-1]])
                return chain[::-1] if len(chain) > 1 else []
            if target not in came_from:
                came_from[target] = module
                queue.append(target)
    return []


def reached(graph: Graph, start: str) -> dict[str, str]:
    """Every module that an import of ``start`` may load, with the one that first names it."""
    came_from = {start: ""}
    queue = deque([start])
    while queue:
        module = queue.popleft()
        for target in sorted(graph[module]):
            if target not in came_from:
                came_from[target] = module
                queue.append(target)
    return came_from
