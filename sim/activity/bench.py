"""A unit in a bench that only drives it: one word of a file each cycle, toggles in a SAIF file, outputs in another.

No glitches: Verilator settles each cycle, so a net toggles at most once in it. Nothing is public; tracing keeps every
named net of the Verilog, and the flat netlist that is simulated has a name for each.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitreous.sim.activity.saif import read_saif
from vitreous.sim.errors import SimulationError
from vitreous.sim.run import toolchain

DEFAULT_FOLDER = Path("build/activity")
UNIT = "unit"
"""Name of the module that is measured."""
_TOP = "activity_bench"
_ARGUMENTS = (
    "--binary",
    "--timing",
    "--trace-saif",
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "-Wno-fatal",
    "-Wno-lint",
)
_BENCH = """
`timescale 1ns/1ps
module {top};
  reg clk = 0, rst = 1;
  reg [2:0] left = 4;
  reg [{word}-1:0] word = 0, following;
  wire [{result}-1:0] result;
  reg [8*512-1:0] folder;
  integer stimulus, results, count;
  {unit} dut ({connections});
  initial begin
    if (!$value$plusargs("folder=%s", folder)) $finish;
    stimulus = $fopen({{folder, "/stimulus.bin"}}, "rb");
    results = $fopen({{folder, "/results.txt"}}, "w");
  end
  // Up and down at the same time: one evaluation a cycle, and no toggle of the clock.
  always begin
    #1 clk = 1;
    clk <= 0;
  end
  always @(posedge clk) begin
    if (left != 0) begin
      left <= left - 1;
      rst <= left != 1;
      if (left == 1) begin
        $dumpfile({{folder, "/toggles.saif"}});
        $dumpvars(0, dut);
      end
    end else begin
      $fwrite(results, "%h\\n", result);
      count = $fread(following, stimulus);
      if (count == {word} / 8) word <= following;
      else begin
        $fclose(results);
        $finish;
      end
    end
  end
endmodule
"""


@dataclass(frozen=True)
class Wire:
    """A port of the unit other than clock and reset, in the order of ``ActivityBench``'s words. ``bits``: its width."""

    name: str
    bits: int
    output: bool = False

    @property
    def bytes(self) -> int:
        return -(-self.bits // 8)


@dataclass(frozen=True)
class Run:
    """toggles : by net and bit. results : uint8 [cycles, bytes], the outputs, each in whole bytes, little endian; row c
    shows the outputs in the cycle in which word c is at the inputs. cycles : words.
    """

    toggles: Mapping[str, int]
    results: NDArray[np.uint8]
    cycles: int

    def output(self, wires: Sequence[Wire], name: str) -> NDArray[np.uint8]:
        """uint8 [cycles, bytes] of one output."""
        start = 0
        for wire in (wire for wire in wires if wire.output):
            if wire.name == name:
                return self.results[:, start : start + wire.bytes]
            start += wire.bytes
        raise SimulationError(f"The unit has no output {name}")


class ActivityBench:
    """The simulation of one flat module ``unit`` with ports ``clk``, ``rst`` and ``wires``; compiled when first needed.

    Compiled programs are kept under ``root`` by the hash of Verilog, bench, tools and flags.
    """

    def __init__(
        self, verilog: str, wires: Sequence[Wire], *, name: str, root: str | Path = DEFAULT_FOLDER
    ) -> None:
        self.wires, self.name, self.root = tuple(wires), name, Path(root).absolute()
        self.source = verilog + _bench(self.wires)
        facts = (
            self.source,
            str(toolchain.verilator()),
            str(_ARGUMENTS),
            platform.processor(),
            platform.node(),
        )
        self.digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()

    def program(self) -> Path:
        """The compiled simulation. Raises ToolchainError and SimulationError."""
        kept = self.root / f"{self.name}-{self.digest[:16]}"
        if kept.is_file():
            return kept
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{self.name}-", dir=self.root) as folder:
            (Path(folder) / "bench.sv").write_text(self.source)
            command = [
                str(toolchain.verilator().executable),
                *_ARGUMENTS,
                "--top-module",
                _TOP,
                "-Mdir",
                "made",
            ]
            _call([*command, "-o", "program", "bench.sv"], Path(folder), toolchain.environment())
            os.replace(Path(folder) / "made" / "program", kept)
        return kept

    def run(self, words: Mapping[str, NDArray[np.uint8]]) -> Run:
        """Feed one row of every input, uint8 [cycles, bytes] by name, in each cycle.

        Raises SimulationError when inputs are missing, of other shapes, or the simulation did not take them all.
        """
        stimulus = self._pack(words)
        program = self.program()
        with tempfile.TemporaryDirectory(prefix=f"{self.name}-", dir=self.root) as name:
            folder = Path(name)
            (folder / "stimulus.bin").write_bytes(np.ascontiguousarray(stimulus[:, ::-1]).tobytes())
            _call([str(program), f"+folder={folder}"], folder, dict(os.environ))
            lines = (folder / "results.txt").read_text().splitlines()[1:]
            if len(lines) != len(stimulus):
                raise SimulationError(f"{self.name} took {len(lines)} words of {len(stimulus)}")
            results = np.frombuffer(bytes.fromhex("".join(lines)), np.uint8).reshape(len(lines), -1)[:, ::-1]
            return Run(read_saif(folder / "toggles.saif", f"{_TOP}/dut"), results, len(stimulus))

    def _pack(self, words: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
        inputs = [wire for wire in self.wires if not wire.output]
        if set(words) != {wire.name for wire in inputs}:
            raise SimulationError(f"{self.name} has inputs {[w.name for w in inputs]}, not {sorted(words)}")
        cycles = len(next(iter(words.values())))
        for wire in inputs:
            if words[wire.name].shape != (cycles, wire.bytes):
                raise SimulationError(
                    f"{wire.name} must have shape ({cycles}, {wire.bytes}), not {words[wire.name].shape}"
                )
        return np.concatenate([words[wire.name] for wire in inputs], axis=1)


def _bench(wires: Sequence[Wire]) -> str:
    places = {False: 0, True: 0}
    connections = [".clk(clk)", ".rst(rst)"]
    for wire in wires:
        bus = "result" if wire.output else "word"
        connections.append(f".{wire.name}({bus}[{8 * places[wire.output]} +: {wire.bits}])")
        places[wire.output] += wire.bytes
    # Bits of a container above its port stay undriven in `result`: 0 in this two-state simulation.
    return _BENCH.format(
        top=_TOP,
        unit=UNIT,
        word=8 * places[False],
        result=8 * places[True],
        connections=", ".join(connections),
    )


def _call(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Raises SimulationError with the end of what a failed program said."""
    if shutil.which(command[0]) is None:
        raise SimulationError(f"Cannot run {command[0]}")
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "rror" in line] or lines
        raise SimulationError(f"{Path(command[0]).name} failed: {' | '.join(errors[-3:])}")
