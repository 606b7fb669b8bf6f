"""Verilator and Icarus Verilog on a folder of sources, through cocotb's runners."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cocotb_tools.runner import VerilatorControlFile, get_runner

from vitreous.sim.errors import SimulationError
from vitreous.sim.run import toolchain


def compile_verilator(
    folder: Path,
    *,
    sources: list[Path],
    top: str,
    ports: Iterable[str],
    build_args: list[str],
    parameters: Mapping[str, object] | None = None,
    defines: Mapping[str, object] | None = None,
    waves: bool = False,
    native: bool | None = True,
) -> None:
    """Run Verilator and the C++ compiler. Without ``ports`` everything stays public; ``native`` None keeps
    make's own flags.
    """
    control: list[VerilatorControlFile] = []
    if ports:
        file = folder / "ports.vlt"
        file.write_text(toolchain.ports_only_control(top, ports))
        control = [VerilatorControlFile(file)]
    with toolchain.activated(native=native):
        runner = get_runner("verilator")
        _run(
            folder,
            lambda log: runner.build(
                sources=[*control, *sources],
                hdl_toplevel=top,
                build_dir=folder,
                parameters=parameters or {},
                defines=defines or {},
                timescale=("1ns", "1ps"),
                build_args=build_args,
                waves=waves,
                log_file=log,
            ),
        )


def _run(folder: Path, work: Callable[[Path], None]) -> None:
    """Call ``work`` with the log's path; what a runner raises becomes a SimulationError with the log's end."""
    log = folder / "build.log"
    try:
        work(log)
    except (RuntimeError, SystemExit) as error:
        reason = f"The simulation could not be built ({error}); {log} ends: {_tail(log)}"
        raise SimulationError(reason) from None


def _tail(log: Path, lines: int = 6) -> str:
    if not log.is_file():
        return "(no log)"
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    return " | ".join(text.strip().splitlines()[-lines:])


def compile_icarus(folder: Path, sources: list[Path], top: str, parameters: Mapping[str, object]) -> None:
    """Run Icarus Verilog's compiler."""
    runner = get_runner("icarus")
    _run(
        folder,
        lambda log: runner.build(
            sources=sources,
            hdl_toplevel=top,
            build_dir=folder,
            parameters=parameters,
            timescale=("1ns", "1ps"),
            log_file=log,
        ),
    )
