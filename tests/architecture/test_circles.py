"""No modules import each other in a circle, neither inside functions nor under TYPE_CHECKING."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.imports import Graph, circles, import_graph
from tests.support.tree import ROOT, all_modules


def written(graph: Graph, circle: list[str], modules: dict[str, Path]) -> str:
    """``circle`` as a chain that can be followed with a finger: each import with its file and line."""
    steps = [
        f"  {modules[here].relative_to(ROOT)}:{graph[here][there]} imports {there}"
        for here, there in pairwise(circle)
    ]
    return " -> ".join(circle) + "\n" + "\n".join(steps)


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = all_modules()
    graph = import_graph(modules)
    assert sum(map(len, graph.values())) > 500, "the graph misses most imports"
    found = [written(graph, circle, modules) for circle in circles(graph)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        ({"a/__init__.py": "", "a/b.py": "import a.c", "a/c.py": "from a import b"}, ["a.b", "a.c", "a.b"]),
        ({"a/__init__.py": "from a.b import X", "a/b.py": "from a.c import X", "a/c.py": "X = 1"}, None),
        ({"a/__init__.py": "from a.b import X", "a/b.py": "from a import c", "a/c.py": ""}, None),
        ({"a/__init__.py": "from a.b import X", "a/b.py": "from a import Y"}, ["a", "a.b", "a"]),
        ({"a/__init__.py": "", "a/b.py": "def f():\n    from . import c", "a/c.py": "from .b import f"},
         ["a.b", "a.c", "a.b"]),
        ({"a.py": "if TYPE_CHECKING:\n    import b", "b.py": "import c", "c.py": "from a import X"},
         ["a", "b", "c", "a"]),
        ({"a.py": "import b, c", "b.py": "import c", "c.py": "import torch"}, None),
    ],
)  # fmt: skip
def test_the_check_sees_each_form(tmp_path: Path, files: dict[str, str], circle: list[str] | None) -> None:
    modules = {}
    for name, source in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        modules[name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = path
    assert circles(import_graph(modules)) == ([circle] if circle else [])
