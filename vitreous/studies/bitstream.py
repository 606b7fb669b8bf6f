"""A bitstream of an accelerator on a board: the design of ``hw.board`` through ``reports.synthesis.place``."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vitreous.errors import RunError
from vitreous.reports.synthesis.place import Part, Placed, Progress, as_dict, place, tools
from vitreous.reports.synthesis.timing import Step, delay_ns, ends
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.variants import MemoryStyle

BITSTREAM, CONSTRAINTS, FIGURES, PATH = "board.bit", "board.lpf", "bitstream.json", "critical-path.md"
MARK = "<!-- results -->"
SHOWN = {
    "TRELLIS_COMB": "LUT4",
    "TRELLIS_FF": "flip-flops",
    "TRELLIS_RAMW": "write ports of LUT memory",
    "DP16KD": "block RAM of 18 Kbit",
    "MULT18X18D": "multipliers of 18 x 18 bits",
    "EHXPLLL": "clock generators",
    "TRELLIS_IO": "pins",
}
"""nextpnr's names of cells, in words."""


def placement(
    config: AcceleratorConfig,
    *,
    memory_kib: int,
    clock_mhz: int,
    seed: int,
    cache: Path,
    progress: Progress | None = None,
) -> Placed:
    """The design of ``config`` with ``memory_kib`` in place of DRAM, placed and routed on the board's part.

    Raises ReportError as ``reports.synthesis.place.place``, and RunError for a memory that is not a multiple of 4 KiB
    and for a style of memory that the part does not have.
    """
    from vitreous.hw.board import rtlil, ulx3s

    if memory_kib < 4 or memory_kib % 4:
        raise RunError(f"--memory must be a multiple of 4 KiB, not {memory_kib}")
    if config.memory.style is MemoryStyle.ULTRA:
        raise RunError('ECP5 has no UltraRAM: the bitstream needs memory.style = "auto"')
    tools()  # the design takes long, so what is missing is said before
    if progress:
        progress("Amaranth: the design")
    return place(
        rtlil.emit(config, memory_kib=memory_kib, clock_mhz=clock_mhz),
        top=rtlil.TOP,
        constraints=rtlil.constraints(),
        cache=cache,
        part=Part(device=ulx3s.DEVICE, package=ulx3s.PACKAGE, speed=ulx3s.SPEED),
        clock_mhz=clock_mhz,
        seed=seed,
        progress=progress,
    )


def write(config: AcceleratorConfig, placed: Placed, out: Path, *, memory_kib: int) -> None:
    """Bitstream, pins, figures and critical path to ``out``. Raises RunError when it cannot be written."""
    from vitreous.hw.board import rtlil

    figures = {
        "accelerator": config.name,
        "config": config.as_dict(),
        "memory_kib": memory_kib,
        **as_dict(placed),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(placed.bitstream, out / BITSTREAM)
        (out / CONSTRAINTS).write_text(rtlil.constraints(), encoding="utf-8")
        (out / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        (out / PATH).write_text(path_table(placed.path) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunError(f"Cannot write {error.filename}: {error.strerror}") from None


def fastest(placements: Sequence[Placed]) -> Placed:
    """Of several seeds the one with the highest clock."""
    return max(placements, key=lambda placed: placed.clock_mhz)


def summary(placed: Placed) -> str:
    """One line: the clock, the ends of the critical path, what is used."""
    source, sink = ends(placed.path)
    used = ", ".join(f"{entry.used:,} {SHOWN[entry.kind]}" for entry in placed.use if entry.kind in SHOWN)
    return f"{placed.clock_mhz:.1f} MHz ({source} to {sink}); {used}"


def path_table(path: Sequence[Step]) -> str:
    """The critical path as a table: each cell and wire with its delay, and the time since the clock edge."""
    lines = ["| ns | since the edge | through | signal | tile |", "| ---: | ---: | --- | --- | --- |"]
    since = 0.0
    for step in _joined(path):
        since += step.delay_ns
        lines.append(f"| {step.delay_ns:.2f} | {since:.2f} | {step.kind} | `{step.name}` | {step.place} |")
    return "\n".join(lines)


def _joined(path: Sequence[Step]) -> list[Step]:
    """A carry chain is one step: its cells have no wires between them that take time."""
    steps: list[Step] = []
    for step in path:
        if step.kind == "routing" and not step.delay_ns:
            continue
        if steps and step.kind == steps[-1].kind == "logic":
            steps[-1] = replace(step, delay_ns=steps[-1].delay_ns + step.delay_ns)
        else:
            steps.append(step)
    return steps


def results(
    config: AcceleratorConfig,
    placements: Sequence[Placed],
    *,
    memory_kib: int,
    command: str,
) -> str:
    """The measured part of docs/results/bitstream.md; the fastest of ``placements`` is shown whole."""
    placed, memory = fastest(placements), config.memory
    size = placed.bitstream.stat().st_size
    lines = [
        f"`{command}` on {datetime.date.today()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores: "
        f"{placed.seconds / 60:.0f} minutes with {', '.join(placed.tools.values())}.",
        "",
        f"`{config.name}`: {config.array.lanes} x {config.array.lanes} x {config.array.depth} = "
        f"{config.array.macs_per_cycle} MAC a cycle; X {memory.activation_kib}, W {memory.weight_kib}, "
        f"R {memory.residual_kib} KiB, {memory.parameter_entries} parameters, score rows of {memory.score_keys} keys; "
        f"{memory_kib} KiB in place of DRAM behind {config.bus.data_bits}-bit AXI4. Bitstream: {size:,} bytes.",
        "",
        "| seed | clock reached | asked for | critical path |",
        "| ---: | ---: | ---: | --- |",
        *(_seed_row(entry) for entry in placements),
        "",
        "| used | of | what |",
        "| ---: | ---: | --- |",
        *(f"| {u.used:,} | {u.available:,} | {SHOWN[u.kind]} |" for u in placed.use if u.kind in SHOWN),
        "",
        f"The critical path of seed {placed.seed}: {delay_ns(placed.path):.2f} ns, of which "
        f"{delay_ns(placed.path, 'routing'):.2f} ns are wires and {delay_ns(placed.path, 'logic'):.2f} ns LUTs, "
        "carries and multipliers.",
        "",
        path_table(placed.path),
    ]
    return "\n".join(lines)


def _seed_row(placed: Placed) -> str:
    source, sink = ends(placed.path)
    return (
        f"| {placed.seed} | {placed.clock_mhz:.1f} MHz | {placed.asked_mhz:g} MHz | `{source}` to `{sink}` |"
    )


def insert(page: Path, text: str) -> None:
    """Put ``text`` between the two marks of a page. Raises RunError when it does not have them."""
    parts = page.read_text(encoding="utf-8").split(MARK) if page.is_file() else []
    if len(parts) != 3:
        raise RunError(f"{page} must have the line {MARK} twice")
    page.write_text(MARK.join((parts[0], f"\n{text}\n", parts[2])), encoding="utf-8")
