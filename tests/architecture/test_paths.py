"""Every file and module of ours that a page, a docstring or the build names is there."""

import pytest

from tests.support.named_places import (
    link_exists,
    links,
    module_exists,
    modules,
    path_exists,
    paths,
    prose,
    texts,
)
from tests.support.tree import ROOT


def test_every_path_module_and_link_that_a_text_names_is_there() -> None:
    missing, seen = [], 0
    for path, line, text in texts():
        where = f"{path.relative_to(ROOT)}:{line}"
        named = paths(text)
        missing += [f"{where}: no file {name}" for name in named if not path_exists(name)]
        dotted = modules(text)
        missing += [f"{where}: no module {name}" for name in dotted if not module_exists(name)]
        if path.suffix == ".md":
            missing += [f"{where}: no file {name}" for name in links(text) if not link_exists(path, name)]
        seen += len(named) + len(dotted)
    assert not missing, "\n".join(missing)
    assert seen > 400, "the check reads next to nothing"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `hw/matrix/array.py`, docs/units.md.", ["hw/matrix/array.py", "docs/units.md"]),
        ("$(BIN)/vitreous and build/sim/x, ../hw/x, http://a.org/docs/x", []),
        ("reports/area/measured/TARGET.json docs/<name>.md docs/{a}.md docs/...", []),
        ("docs/README.md and reports/energy/tech/*.toml", ["docs/README.md", "reports/energy/tech/*.toml"]),
    ],
)
def test_paths_are_found(text: str, found: list[str]) -> None:
    assert paths(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("``golden.machine`` and `python -m campaigns.mutants`", ["golden.machine", "campaigns.mutants"]),
        ("`vitreous.hw.matrix.array.Array`", ["vitreous.hw.matrix.array.Array"]),
        ("`compiler.md`, reports.NAME, the hardware. models.", []),
    ],
)
def test_modules_are_found(text: str, found: list[str]) -> None:
    assert modules(text) == found


def test_what_is_there_and_what_is_not() -> None:
    known = ("hw/matrix/array.py", "docs/", "configs/*.toml")
    assert [name for name in (*known, "hw/gelu.py", "hw/gelu*.py") if path_exists(name)] == [*known]
    there = ("hw.matrix.array.Array", "vitreous.golden.machine", "reports")
    assert [name for name in (*there, "hw.feeder", "hw.matrix.array.Feeder") if module_exists(name)] == [
        *there
    ]
    assert links("[a](area.md#x) [b](https://a.org) ![c](units/norms.svg)") == ["area.md", "units/norms.svg"]


def test_docstrings_and_comments_are_read_and_code_is_not() -> None:
    source = '"""One\ntwo."""\n\n\ndef f():\n    """Three."""\n    return "docs/x.md"  # four\n'
    assert list(prose(source)) == [(1, '"""One'), (2, 'two."""'), (6, '"""Three."""'), (7, "# four")]
