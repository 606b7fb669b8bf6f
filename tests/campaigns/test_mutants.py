"""Every entry of the catalogue still applies: the text that it changes is there once, and the result is Python."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from campaigns.mutants.catalogue import MUTATIONS
from campaigns.mutants.mutation import ROOT, Mutation, mutated_tree

# What a mutant cannot break in a way that a program would show, or what holds no logic of its own.
NOT_MUTATED = {
    "accelerator.py",
    # Any other port than those of its Verilog module is refused when that is written.
    "memory/ram.py",
    # The array's option that no case has: proofs packed_product and packed_sums, and tests/hw/matrix/test_array.py.
    "matrix/array_dsp.py",
    "axi/axi.py",
    # Ports, and the stop at an error, which no case meets: tests/hw/load and tests/hw/store.
    "axi/transfer_unit.py",
    "checks.py",
    "platforms.py",
    "matrix/columns.py",
    "control/control.py",
    "control/counters.py",
    # A limit that no case meets: tests/hw/control/test_cycle_limit.py, tests/sim/run/test_runtime.py.
    "control/cycle_limit.py",
    "arith/delay.py",
    "control/dispatch.py",
    "matrix/dsp48e2.py",
    "control/fetch.py",
    "arith/gating.py",
    # A choice among files, and variants that no case has: their proofs and all their inputs in
    # tests/hw/activation/test_activation.py.
    "activation/activation.py",
    "activation/poly.py",
    "activation/shift.py",
    "activation/table.py",
    "arith/leading_one.py",
    "control/decode_checks.py",
    "load/load.py",
    "load/load_front.py",
    "norm/interface.py",
    "memory/ports.py",
    # Of an option that no case has: tests/hw/protect, tests/sim/upsets and the campaign of upsets.
    "protect/alarm.py",
    "protect/guard.py",
    "protect/parity_queue.py",
    "control/registers.py",
    "control/tokens.py",
    # Text and files, which tests/hw/verilog gives to other tools.
    "verilog/core_file.py",
    "verilog/interfaces.py",
    "verilog/sample.py",
    "verilog/text.py",
    "verilog/verilog.py",
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
    # A board stands beside the accelerator: no program of the accelerator shows its mistakes.
    present = {
        name for name in sources() if not name.startswith("board/") and not name.endswith("__init__.py")
    }
    assert present - files == NOT_MUTATED, "a new file of hw needs a mutation or a place in NOT_MUTATED"


def test_a_stale_entry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "matrix").mkdir()
    (tmp_path / "matrix" / "array.py").write_text("a = 1\nb = 1\n")
    for old, count in (("1", 2), ("3", 0)):
        with pytest.raises(ValueError, match=f"occurs {count} times, not once"):
            Mutation("x", "matrix/array.py", old, "2").apply(tmp_path)


def test_mutated_tree_changes_one_file(tmp_path: Path) -> None:
    tree = mutated_tree(MUTATIONS[0], tmp_path / "tree")
    changed = [
        name
        for name in sources()
        if (tree / "vitreous" / "hw" / name).read_text() != (ROOT / "hw" / name).read_text()
    ]
    assert changed == [MUTATIONS[0].file]
    build = Path("sim") / "run" / "build.py"
    assert (tree / "vitreous" / build).read_text() == (ROOT / build).read_text()
