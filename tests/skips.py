"""The skips that a run may have: a Debian package that Vitreous does not need and .ci/run installs is missing, or a
library of models, which a user may have.

What else comes from PyPI is in .venv, so a test that misses it is a fault of the set-up and no skip. The session counts
and lists its skips at the end and fails where one is not in this list (tests/conftest.py).
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple


class Skip(NamedTuple):
    """A test by its node id as a shell pattern, and what is missing where it is skipped."""

    pattern: str
    missing: str


ALLOWED = (
    Skip("tests/hw/verilog/test_verilog.py::test_icarus_runs_a_program*", "iverilog"),
    Skip("tests/hw/verilog/test_fusesoc.py::test_icarus_runs_the_target_and_a_wrong_byte_fails", "iverilog"),
    Skip("tests/hw/verilog/test_memories.py::test_others_take_their_place", "iverilog"),
    Skip("tests/sim/run/test_icarus.py::test_icarus_equals_the_functional_machine", "iverilog"),
    # The random power-up of the same file runs in Verilator, which has two states.
    Skip("tests/sim/bench/test_axi.py::test_nothing_unknown_at_power_up_reaches_*", "iverilog"),
    Skip("tests/reports/page/test_browser.py::*", "chromium, chromium-driver"),
    Skip("tests/reports/synthesis/test_cells.py::*", "qflow-tech-osu018"),
    Skip("tests/quant/importer/test_libraries.py::*", "transformers, timm"),
    Skip("tests/architecture/test_tree.py::test_no_product_is_committed", "git, or an unpacked archive"),
)


def missing(test: str) -> str | None:
    """What ``test`` (a node id) may be skipped for; None where it may not be."""
    return next((skip.missing for skip in ALLOWED if fnmatchcase(test, skip.pattern)), None)


def summary(skipped: Iterable[tuple[str, str]]) -> tuple[list[str], bool]:
    """Lines about ``skipped`` tests, (node id, reason) each, and whether all of them are allowed."""
    tests = dict(skipped)
    faults = [
        f"NOT ALLOWED (tests/skips.py) {test}: {why}" for test, why in tests.items() if not missing(test)
    ]
    packages: dict[str, int] = {}
    for test in tests:
        if package := missing(test):
            packages[package] = packages.get(package, 0) + 1
    counts = [f"{count} without {package}" for package, count in sorted(packages.items())]
    return [f"{len(tests)} skipped" + (f": {', '.join(counts)}" if counts else ""), *faults], not faults
