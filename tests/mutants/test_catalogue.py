"""Every entry of the catalogue still applies: the text that it changes is there once, and the result is Python."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTATIONS
from tests.mutants.mutation import ROOT, Mutation, mutated_tree

# What a mutant cannot break in a way that a program would show, or what holds no logic of its own.
NOT_MUTATED = {
    "__init__.py",
    "accelerator.py",
    # The array's option that no case has: proofs packed_product and packed_sums, and tests/hw/test_array.py.
    "array_dsp.py",
    "axi.py",
    "control.py",
    "counters.py",
    "delay.py",
    "dispatch.py",
    "dsp48e2.py",
    "fetch.py",
    "gating.py",
    # A choice among files, and variants that no case has: their proofs and all their inputs in tests/hw/test_gelu.py.
    "gelu.py",
    "gelu_poly.py",
    "gelu_shift.py",
    "gelu_table.py",
    "leading_one.py",
    "legality.py",
    "load.py",
    "load_front.py",
    "norm_interface.py",
    "ports.py",
    "registers.py",
    "tokens.py",
    "verilog.py",
}


def sources() -> list[str]:
    """Every Python file of hw, by its path in the room."""
    return sorted(path.relative_to(ROOT / "hw").as_posix() for path in (ROOT / "hw").rglob("*.py"))


@pytest.mark.parametrize("index", range(len(MUTATIONS)))
def test_applies_exactly_once(index: int, tmp_path: Path) -> None:
    mutation = MUTATIONS[index]
    target = tmp_path / mutation.file
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "hw" / mutation.file, target)
    before = ast.dump(ast.parse(target.read_text()))
    mutation.apply(tmp_path)
    assert ast.dump(ast.parse(target.read_text())) != before


def test_catalogue_is_large_and_spread() -> None:
    assert len(set(MUTATIONS)) == len(MUTATIONS) >= 36
    files = {mutation.file for mutation in MUTATIONS}
    present = {name for name in sources() if not name.startswith("board/")}
    assert present - files == NOT_MUTATED, "a new file of hw needs a mutation or a place in NOT_MUTATED"


def test_a_stale_entry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "array.py").write_text("a = 1\nb = 1\n")
    for old, count in (("1", 2), ("3", 0)):
        with pytest.raises(ValueError, match=f"is there {count} times, expected once"):
            Mutation("x", "array.py", old, "2").apply(tmp_path)


def test_mutated_tree_changes_one_file(tmp_path: Path) -> None:
    tree = mutated_tree(MUTATIONS[0], tmp_path / "tree")
    changed = [
        name
        for name in sources()
        if (tree / "vitreous" / "hw" / name).read_text() != (ROOT / "hw" / name).read_text()
    ]
    assert changed == [MUTATIONS[0].file]
    assert (tree / "vitreous" / "sim" / "build.py").read_text() == (ROOT / "sim" / "build.py").read_text()
