"""Building the simulation of an accelerator: Amaranth to Verilog to a compiled program, cached by everything
that it depends on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vitreous.sim.dram import LEAST_BITS
from vitreous.sim.errors import SimulationError
from vitreous.sim.run import toolchain
from vitreous.sim.run.compilers import compile_icarus, compile_verilator
from vitreous.sim.run.state import exposed
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import source_digest
from vitreous.spec.folders import SIMULATORS, can_write

TOP = "bench"
PORTS = (
    "host_request",
    "host_write",
    "host_address",
    "host_data",
    "host_acknowledge",
    "host_result",
    "file_request",
    "file_command",
    "file_offset",
    "file_bytes",
    "file_acknowledge",
    "waves_start",
    "interrupt",
    "cycle",
    "write_base",
    "write_size",
    "violations",
    "outside",
    "restart",
)
"""The signals of ``bench.sv`` that Python touches; no other signal is public (that costs up to ten times the
speed).
"""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A compiled simulation: its folder, how long making it took (0 when it was cached), whether it can
    trace waves, and the simulator that runs it (cocotb's name).
    """

    folder: Path
    seconds: float
    cached: bool
    waves: bool = False
    simulator: str = "verilator"


_SOURCES = ("sim/run/bench.sv", "sim/run/build.py", "sim/run/compilers.py", "hw", "spec")
"""What a simulation is made from, beside its configuration and the tools."""


def cache_key(config: AcceleratorConfig, *options: object) -> str:
    """Changes with the configuration, the hardware description, the bench, the tools, the flags and the processor.

    Names and dates do not change it.
    """
    return _digest(config.digest.encode(), source_digest(*_SOURCES).encode(), options=options)


def _digest(*contents: bytes, options: tuple[object, ...] = ()) -> str:
    """Of what is compiled, the tools, their flags and the processor."""
    state = hashlib.sha256()
    for content in contents:
        state.update(content)
    # The flags compile for this very processor, so a folder that is shared between machines needs its name too.
    facts = [
        str(toolchain.verilator()),
        toolchain.make_variables(),
        platform.processor(),
        platform.node(),
        options,
    ]
    state.update(json.dumps(facts).encode())
    return state.hexdigest()[:16]


def require_folder(root: str | Path) -> None:
    """Make the folder of compiled simulators. Raises SimulationError where it cannot be written."""
    if not can_write(Path(root)):
        raise SimulationError(
            f"The folder of compiled simulators {root} cannot be written; name another with --build-dir"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two processes that want the same build: one builds, the other waits. Raises SimulationError."""
    require_folder(folder.parent)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build(
    config: AcceleratorConfig,
    *,
    root: str | Path = SIMULATORS,
    waves: bool = False,
    memory_bits: int = LEAST_BITS,
) -> Build:
    """The fast simulation of ``config`` under ``root``, compiled now or before; clock, memory and host are Verilog.

    memory_bits : log2 of the DRAM's bytes (``sim.dram.memory_bits``).
    Raises ToolchainError for a missing tool and SimulationError, with the end of the log, when a tool fails. A
    build that is interrupted leaves nothing that would count as done.
    """

    def compile_(folder: Path, verilog: Path) -> None:
        bench = Path(__file__).absolute().parent / "bench.sv"
        compile_verilator(
            folder,
            sources=[verilog, bench],
            top=TOP,
            ports=PORTS,
            parameters=_parameters(config, memory_bits),
            build_args=toolchain.verilator_build_args(trace="vcd" if waves else None),
            defines={} if waves else {"PULSE_CLOCK": 1},
            waves=waves,
        )

    return _cached(
        config, root, f"{config.name}-{cache_key(config, 'fast', waves, memory_bits)}", compile_, waves=waves
    )


def build_exposed(
    config: AcceleratorConfig, *, root: str | Path = SIMULATORS, memory_bits: int = LEAST_BITS
) -> Build:
    """As ``build``, but every register and memory of the accelerator may be read and written by Python, by the paths
    of ``sim.run.state.elements(verilog, "accelerator")`` of its ``accelerator.v``. Half as fast."""

    def compile_(folder: Path, verilog: Path) -> None:
        source = folder / "exposed.v"
        source.write_text(exposed(verilog.read_text()))
        compile_verilator(
            folder,
            sources=[source, Path(__file__).absolute().parent / "bench.sv"],
            top=TOP,
            ports=PORTS,
            parameters=_parameters(config, memory_bits),
            build_args=toolchain.verilator_build_args(),
            defines={"PULSE_CLOCK": 1},
        )

    key = cache_key(config, "exposed", source_digest("sim/run/state.py"), memory_bits)
    return _cached(config, root, f"{config.name}-exposed-{key}", compile_)


def _parameters(config: AcceleratorConfig, memory_bits: int) -> dict[str, object]:
    """Of ``bench.sv``."""
    return {"DATA_BITS": config.bus.data_bits, "MEMORY_BITS": memory_bits}


def build_icarus(
    config: AcceleratorConfig, *, root: str | Path = SIMULATORS, memory_bits: int = LEAST_BITS
) -> Build:
    """The same bench for Icarus Verilog, a second opinion on the Verilog: a thousand times slower than Verilator.

    Raises ToolchainError where Icarus Verilog is missing.
    """
    require_icarus()

    def compile_(folder: Path, verilog: Path) -> None:
        bench = Path(__file__).absolute().parent / "bench.sv"
        compile_icarus(folder, [verilog, bench], TOP, _parameters(config, memory_bits))

    name = f"{config.name}-icarus-{cache_key(config, 'icarus', memory_bits)}"
    return replace(_cached(config, root, name, compile_), simulator="icarus")


def require_icarus() -> None:
    """Raises ToolchainError where Icarus Verilog is missing."""
    if toolchain.iverilog() is None:
        raise toolchain.ToolchainError(
            "Icarus Verilog (iverilog and vvp) was not found on PATH; install it (Debian: apt install iverilog)"
        )


def build_default(config: AcceleratorConfig, *, root: str | Path = SIMULATORS) -> Build:
    """The same bench as cocotb's runner builds it by itself, clock from cocotb: the yardstick of ``benchmarks``."""

    def compile_(folder: Path, verilog: Path) -> None:
        compile_verilator(
            folder,
            sources=[verilog, Path(__file__).absolute().parent / "bench.sv"],
            top=TOP,
            ports=(),
            parameters=_parameters(config, LEAST_BITS),
            build_args=["-Wno-fatal"],
            defines={"EXTERNAL_CLOCK": 1},
            native=None,
        )

    return _cached(config, root, f"{config.name}-default-{cache_key(config, 'default')}", compile_)


def build_ports(config: AcceleratorConfig, *, root: str | Path = SIMULATORS) -> Build:
    """The bare accelerator for the checking path: its ports are public, Python drives clock and buses."""

    def compile_(folder: Path, verilog: Path) -> None:
        ports = top_ports(verilog.read_text())
        compile_verilator(
            folder,
            sources=[verilog],
            top="accelerator",
            ports=ports,
            build_args=toolchain.verilator_build_args(timing=False),
        )

    return _cached(config, root, f"{config.name}-ports-{cache_key(config, 'ports')}", compile_)


def build_bench(
    name: str,
    verilog: str,
    bench: Path,
    *,
    top: str,
    ports: Iterable[str],
    parameters: Mapping[str, object] | None = None,
    root: str | Path = SIMULATORS,
) -> Build:
    """The fast simulation of any Verilog text under a bench of its own with its own clock; ``ports`` of ``top`` are
    public. Cached by the text, the bench, its ``parameters`` and the tools.

    Raises as ``build`` does.
    """

    def make(folder: Path) -> None:
        source = folder / f"{name}.v"
        source.write_text(verilog)
        compile_verilator(
            folder,
            sources=[source, bench],
            top=top,
            ports=ports,
            parameters=parameters,
            build_args=toolchain.verilator_build_args(),
        )

    options = (dict(parameters),) if parameters else ()
    digest = _digest(verilog.encode(), bench.read_bytes(), options=options)
    return _once(Path(root).absolute() / f"{name}-{digest}", make)


def build_text(
    name: str,
    verilog: str,
    *,
    simulator: str = "verilator",
    noise: bool = False,
    root: str | Path = SIMULATORS,
) -> Build:
    """The bare accelerator from its Verilog text, for a bench that drives its ports; cached by the text and the tools.

    simulator : "verilator" or "icarus". noise : Verilator begins with random values, by the seed of a run, where the
    text has none. Raises as ``build`` and ``build_icarus`` do.
    """

    def make(folder: Path) -> None:
        source = folder / "accelerator.v"
        source.write_text(verilog)
        if simulator == "icarus":
            compile_icarus(folder, [source], "accelerator", {})
            return
        args = toolchain.verilator_build_args(timing=False)
        args += ["--x-initial", "unique"] if noise else []
        compile_verilator(
            folder, sources=[source], top="accelerator", ports=top_ports(verilog), build_args=args
        )

    if simulator == "icarus":
        require_icarus()
    folder = Path(root).absolute() / f"{name}-{_digest(verilog.encode(), options=(simulator, noise))}"
    return replace(_once(folder, make), simulator=simulator)


def top_ports(verilog: str) -> list[str]:
    """Names of the ports of module ``accelerator`` in Verilog text of Amaranth."""
    match = re.search(r"^module\s+\\?accelerator\s*\((.*?)\);", verilog, re.MULTILINE | re.DOTALL)
    if match is None:
        raise SimulationError("The Verilog has no module accelerator")
    return re.findall(r"[A-Za-z_]\w*", match[1])


def _cached(
    config: AcceleratorConfig,
    root: str | Path,
    name: str,
    compile_: Callable[[Path, Path], None],
    *,
    waves: bool = False,
) -> Build:
    def make(folder: Path) -> None:
        # Imported late: reading a cached build needs no Amaranth.
        from vitreous.hw.verilog import emit

        verilog = folder / "accelerator.v"
        verilog.write_text(emit(config))
        compile_(folder, verilog)

    return _once(Path(root).absolute() / name, make, {"config": config.as_dict()}, waves=waves)


def _once(
    folder: Path,
    make: Callable[[Path], None],
    facts: Mapping[str, object] | None = None,
    *,
    waves: bool = False,
) -> Build:
    """Fill ``folder`` by ``make`` if that was not done before."""
    with _locked(folder):
        if (folder / "done.json").is_file():
            return Build(folder=folder, seconds=0.0, cached=True, waves=waves)
        started = time.monotonic()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        seconds = time.monotonic() - started
        (folder / "done.json").write_text(json.dumps({"seconds": seconds, **(facts or {})}))
        return Build(folder=folder, seconds=seconds, cached=False, waves=waves)
