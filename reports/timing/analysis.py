"""Static timing analysis: the latest arrival at every node, and the path behind it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from vitreous.reports.errors import ReportError
from vitreous.reports.timing.graph import Arc, End, Graph, Start


def ordered(graph: Graph) -> list[tuple[int, list[Arc]]]:
    """Every node that arcs lead to with these arcs, after all nodes that they come from.

    Raises ReportError on a combinational loop, with the cells of one.
    """
    into: dict[int, list[Arc]] = defaultdict(list)
    users: dict[int, list[int]] = defaultdict(list)
    for arc in graph.arcs:
        into[arc.target].append(arc)
        users[arc.source].append(arc.target)
    waits = Counter({node: sum(arc.source in into for arc in arcs) for node, arcs in into.items()})
    ready = [node for node in into if waits[node] == 0]
    result = []
    while ready:
        node = ready.pop()
        result.append((node, into[node]))
        for user in users[node]:
            waits[user] -= 1
            if waits[user] == 0:
                ready.append(user)
    if len(result) != len(into):
        raise ReportError(f"The netlist has a combinational loop: {_loop(graph, into, waits)}")
    return result


def _loop(graph: Graph, into: dict[int, list[Arc]], waits: Counter[int]) -> str:
    """The cells of one loop."""
    node = next(n for n, number in waits.items() if number > 0)
    seen: list[int] = []
    cells: dict[int, int] = {}
    while node not in cells:
        arc = next(a for a in into[node] if a.source in into and waits[a.source] > 0)
        cells[node] = arc.cell
        seen.append(node)
        node = arc.source
    around = dict.fromkeys(graph.cells[cells[n]][0] for n in seen[seen.index(node) :])
    names = list(around)
    shown = ", ".join(reversed(names[:6]))
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown


def arrivals(
    graph: Graph, order: Sequence[tuple[int, list[Arc]]], factor: float
) -> tuple[dict[int, float], dict[int, Arc | Start]]:
    """Latest arrival in ps at each node that a path reaches, soft delays times ``factor``, and what it came through.

    A node that nothing reaches (behind constants only) is in neither.
    """
    at: dict[int, float] = {}
    by: dict[int, Arc | Start] = {}
    for start in graph.starts:
        time = start.soft * factor + start.hard
        if time > at.get(start.target, -1.0):
            at[start.target], by[start.target] = time, start
    for node, arcs in order:
        best, through = at.get(node, -1.0), by.get(node)
        for arc in arcs:
            before = at.get(arc.source)
            if before is not None:
                time = before + arc.soft * factor + arc.hard
                if time > best:
                    best, through = time, arc
        if through is not None:
            at[node], by[node] = best, through
    return at, by


def required(graph: Graph, at: dict[int, float], factor: float) -> list[tuple[float, End]]:
    """The period in ps that each end point that a path reaches needs."""
    found = []
    for end in graph.ends:
        before = at.get(end.source)
        if before is not None:
            found.append((before + end.soft * factor + end.hard, end))
    return found


def path_to(end: End, by: Mapping[int, Arc | Start]) -> tuple[Start, list[Arc]]:
    """The latest path to an end point, from its start."""
    arcs: list[Arc] = []
    through = by[end.source]
    while isinstance(through, Arc):
        arcs.append(through)
        through = by[through.source]
    return through, arcs[::-1]
