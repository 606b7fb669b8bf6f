"""One way to run a cocotb bench: a session module in a simulation process of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cocotb_tools.runner import get_runner

RESULTS = "results.xml"


def run_bench(
    build: Path,
    folder: Path,
    *,
    top: str,
    session: str,
    arguments: Iterable[str],
    simulator: str = "verilator",
    results: str = RESULTS,
    seed: int | None = None,
) -> None:
    """Run module ``session`` on the built ``top`` in ``folder``, with ``+argument`` for each of ``arguments``.

    Writes ``simulation.log`` and ``results``. Raises RuntimeError or SystemExit, as the runner does, when it fails.
    """
    get_runner(simulator).test(
        hdl_toplevel=top,
        hdl_toplevel_lang="verilog",
        test_module=session,
        build_dir=build,
        test_dir=folder,
        results_xml=str(folder / results),
        plusargs=[f"+{argument}" for argument in arguments],
        seed=seed,
        log_file=folder / "simulation.log",
    )
