"""``python -m benchmarks.array``: LUT, FF and DSP per MAC of the array and of the whole compute path on UltraScale+.

Yosys maps each unit alone, ``synth_xilinx -family xcup``; ``reports.synthesis.synthesis`` says what is counted.
``--table FILE``
puts the tables into the page. Exit status 1 unless the packed array keeps to its DSP blocks and the compute path is
below the published engine in all three. Results are kept in the user's cache folder; without them it takes minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from vitreous.characterize.cost import rtlil
from vitreous.hw.matrix.array import Array
from vitreous.hw.matrix.matrix import MatrixUnit
from vitreous.hw.platforms import UltraScalePlus
from vitreous.reports.synthesis.synthesis import Resources, synthesize
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, load_accelerator
from vitreous.spec.folders import SYNTHESIS

COMMAND = "python -m benchmarks.array --table docs/results/array.md"
MARK = "<!-- results -->"
MULTIPLIERS = ("plain", "accumulate", "packed")
SHAPES = ((8, 4), (16, 1))
MOST_DSP = 136
"""DSP blocks that the packed 256-MAC array may take."""
PUBLISHED = Resources(
    lut=26316, ff=10562, dsp=329, bram=0, carry=0, depth=0, family="xcup", tool="Yosys, the same command"
)
"""ITA (SystemVerilog, integer attention): its 256-MAC engine with softmax and GELU, its source mapped the same way."""


@dataclass(frozen=True)
class Row:
    """``what`` with ``multiplier``; ``blocks``: its DSP blocks are primitives, not inferred."""

    what: str
    shape: tuple[int, int]
    multiplier: str
    blocks: bool
    resources: Resources

    @property
    def macs(self) -> int:
        lanes, depth = self.shape
        return lanes * lanes * depth


def configuration(shape: tuple[int, int], multiplier: str) -> AcceleratorConfig:
    """edge256 with another array."""
    lanes, depth = shape
    array = ArrayConfig(lanes=lanes, depth=depth, multiplier=multiplier)
    return dataclasses.replace(load_accelerator("edge256"), name="custom", array=array)


def measure(
    kind: type, what: str, shape: tuple[int, int], multiplier: str, *, blocks: bool, cache: Path
) -> Row:
    """One run of Yosys, or its kept result."""
    unit = kind(configuration(shape, multiplier))
    text = rtlil(unit, what, UltraScalePlus() if blocks else None)
    row = Row(what, shape, multiplier, blocks, synthesize(text, top=what, family="xcup", cache=cache))
    r = row.resources
    print(f"{what} {shape} {multiplier}: {r.lut} LUT, {r.ff} FF, {r.dsp} DSP", file=sys.stderr, flush=True)
    return row


def measure_all(cache: Path) -> tuple[list[Row], list[Row]]:
    """Arrays of both shapes, one of them without primitives too; then the compute path of edge256."""
    arrays = [
        measure(Array, "array", shape, multiplier, blocks=multiplier != "plain", cache=cache)
        for shape in SHAPES
        for multiplier in MULTIPLIERS
    ]
    arrays += [measure(Array, "array", SHAPES[0], m, blocks=False, cache=cache) for m in MULTIPLIERS[1:]]
    paths = [
        measure(MatrixUnit, "matrix", SHAPES[0], m, blocks=m != "plain", cache=cache) for m in MULTIPLIERS
    ]
    return arrays, paths


def failures(arrays: Sequence[Row], paths: Sequence[Row]) -> list[str]:
    """What misses its limit, one sentence each."""
    found = [
        f"The packed {row.shape} array takes {row.resources.dsp} DSP blocks, more than {MOST_DSP}"
        for row in arrays
        if row.multiplier == "packed" and row.resources.dsp > MOST_DSP
    ]
    best = next(row.resources for row in paths if row.multiplier == "packed")
    return found + [
        f"The packed compute path takes {getattr(best, name)} {name}, not less than {getattr(PUBLISHED, name)}"
        for name in ("lut", "ff", "dsp")
        if getattr(best, name) >= getattr(PUBLISHED, name)
    ]


def _line(label: str, resources: Resources, macs: int, *extra: str) -> str:
    counts = [resources.lut, resources.ff, resources.dsp]
    cells = [label, *extra, *map(str, counts), *(f"{count / macs:.2f}" for count in counts)]
    return f"| {' | '.join(cells)} |"


def tables(arrays: Sequence[Row], paths: Sequence[Row]) -> str:
    """How they were made, and both tables, in Markdown."""
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    head = "| LUT | FF | DSP48E2 | LUT per MAC | FF per MAC | DSP per MAC |"
    made = f"`{COMMAND}` on {date.today().isoformat()}, {machine}, {paths[0].resources.tool}."
    lines = [made, "", f"| array | DSP blocks {head}", "| --- " * 8 + "|"]
    for row in arrays:
        lanes, depth = row.shape
        label = f"{lanes}×{lanes}×{depth} `{row.multiplier}`"
        lines.append(_line(label, row.resources, row.macs, "primitives" if row.blocks else "inferred"))
    lines += ["", f"| compute path, 256 MAC {head}", "| --- " * 7 + "|"]
    lines += [_line(f"edge256, `{row.multiplier}`", row.resources, row.macs) for row in paths]
    lines.append(_line("ITA engine with softmax and GELU, its source in the same Yosys", PUBLISHED, 256))
    return "\n".join(lines)


def main() -> int:
    """0 when every limit is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.array", description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=SYNTHESIS, metavar="DIR")
    parser.add_argument("--table", type=Path, metavar="FILE", help="put the tables into this page")
    chosen = parser.parse_args()
    arrays, paths = measure_all(chosen.cache)
    text = tables(arrays, paths)
    if chosen.table:
        before, _, rest = chosen.table.read_text().partition(MARK)
        chosen.table.write_text(f"{before}{MARK}\n{text}\n{MARK}{rest.partition(MARK)[2]}")
    else:
        print(text)
    found = failures(arrays, paths)
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
