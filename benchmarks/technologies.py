"""Makes the derived files of ``reports/energy/tech/``: 28 and 7 nm by scaling 45 nm, UltraScale+ by a fit.
docs/energy.md.

``python -m benchmarks.technologies`` prints the fit and how far the model is from each published system; ``--write``
writes the files and the tables of the page. The tests compare what it makes with what is shipped.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vitreous.reports.energy.event_costs import event_costs
from vitreous.reports.energy.formulas import formulas_table
from vitreous.reports.energy.technology import (
    MEMORIES,
    MEMORY_UNIT,
    UNITS,
    Range,
    Technology,
    load_dram,
    load_technology,
    named_drams,
    named_technologies,
)
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, BusConfig, MemoryConfig
from vitreous.spec.isa import Activation, Instruction, Memory, Opcode, make
from vitreous.spec.work import work

FOLDER = Path(__file__).absolute().parent.parent / "reports" / "energy" / "tech"
PAGE = FOLDER.parent.parent.parent / "docs" / "energy.md"
BASE = "asic-45nm"

# Stillmaker & Baas, Integration 58 (2017) 74-81: energy of a node (nm) at a supply of V is a V^2 + b V + c.
NODES: Mapping[float, tuple[float, float, float]] = {
    45: (1.103, -0.362, 0.2767),
    32: (0.9559, -0.7823, 0.471),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    7: (0.1776, -0.09097, 0.02447),
}
AREA_OF_45 = {45: 1.0, 32: 0.46, 20: 0.21, 7: 0.059}
"""Area of a circuit as a share of its area at 45 nm, of the same source."""
SCALING = "Stillmaker & Baas, Integration 58 (2017) 74-81"

# CACTI 7, 256 KB, (lstp, hp): leakage in mW/KiB and in mW/mm2 of the memory's own area.
LEAKAGE_KIB = {32: (2.29e-5, 0.1605), 22: (1.48e-5, 0.0776)}
LEAKAGE_MM2 = {32: (0.0123, 93.1), 22: (0.0168, 95.4)}
REGISTER_UM2 = 18.6
"""A register bit with its logic at 45 nm: as ``leakage_register`` of the 45 nm file says."""


def _between(x: float, x0: float, y0: float, x1: float, y1: float) -> float:
    return y0 + (x - x0) * (y1 - y0) / (x1 - x0)


def energy_of_node(node: float, volts: float) -> float:
    """In units of 45 nm at 0.9 V; nodes between two of the table are interpolated."""

    def at(known: float, supply: float) -> float:
        a, b, c = NODES[known]
        return a * supply**2 + b * supply + c

    if node in NODES:
        return at(node, volts) / at(45, 0.9)
    above, below = min(n for n in NODES if n > node), max(n for n in NODES if n < node)
    return _between(node, below, at(below, volts), above, at(above, volts)) / at(45, 0.9)


@dataclass(frozen=True)
class System:
    """A published accelerator: multiply-accumulates a second (in 1e9) and watts."""

    name: str
    gmacs: float
    watts: float
    source: str


EFFICIENTVIT = System(
    "EfficientViT accelerator, ZCU102, 200 MHz", 780.2 / 2, 780.2 / 105.1, "arXiv 2403.20230"
)
K26 = System(
    "Kria K26 with DPU B3136, 300 MHz, at its peak", 0.92e3 / 2, 7.9, "Kria KV260 smart camera documentation"
)
EDGE_MOE = System("Edge-MoE, ZCU102, 300 MHz", 0.7827 / 34.64e-3, 14.5, "arXiv 2305.18691")
SYSTEMS = (EFFICIENTVIT, K26, EDGE_MOE)
VITA_WATTS = 0.88
"""ViTA, arXiv 2302.09108, 150 MHz: all of its design, on an older family."""


@dataclass(frozen=True)
class Fit:
    """``watts``: power that does not depend on the work; ``pj_per_mac``: what a multiply-accumulate adds, with all
    that comes with it."""

    watts: Range
    pj_per_mac: Range


def fit() -> Fit:
    """One line ``watts + gmacs * pj / 1000`` through the two estimates of a whole chip, whose rates are known least.

    The K26 is at most at its peak: at that rate the line is flattest. It is steepest where nothing is left for an
    idle chip. Typical is half way. ``watts`` at most: what Edge-MoE's board takes beside its work; at least: a third
    of ViTA's power (assumed).
    """
    flat = (K26.watts - EFFICIENTVIT.watts) / (K26.gmacs - EFFICIENTVIT.gmacs) * 1e3
    steep = EFFICIENTVIT.watts / EFFICIENTVIT.gmacs * 1e3
    slope = Range(flat, (flat + steep) / 2, steep)

    def rest(system: System, pj: float) -> float:
        return system.watts - system.gmacs * pj / 1e3

    return Fit(Range(VITA_WATTS / 3, rest(EFFICIENTVIT, slope.typical), rest(EDGE_MOE, slope.typical)), slope)


FIT_CONFIG = AcceleratorConfig(
    name="2048 MAC",
    array=ArrayConfig(lanes=16, depth=8),
    memory=MemoryConfig(activation_kib=512, weight_kib=512),
    bus=BusConfig(data_bits=128),
)


def fit_layer() -> tuple[list[Instruction], int]:
    """The first linear of DeiT-Tiny's MLP on ``FIT_CONFIG`` with the load of its weights, and its MACs."""
    zero = dict.fromkeys(
        (
            *("operands", "destination", "scale", "residual", "slot", "a_base", "b_base", "o_base", "p_base"),
            *("a_stride", "b_stride", "o_stride", "zero_point", "extra_planes"),
            *("first_block", "last_block"),
        ),
        0,
    )
    linear = make(
        Opcode.MATMUL,
        **zero,
        activation=Activation.SMOOTH,
        k_words=192 // 8,
        row_tiles=13,
        columns=768,
        multiplier=1,
        shift=1,
    )
    weights = make(
        Opcode.LOAD,
        memory=Memory.W,
        base=0,
        words=24,
        rows=48,
        stride=24,
        dram_offset=0,
        dram_stride=24 * 128,
    )
    return [weights, linear], 197 * 192 * 768


def pj_per_mac(technology: Technology) -> Range:
    """On-chip energy of the layer of ``fit_layer`` by the event model, for each multiply-accumulate, clock included."""
    instructions, macs = fit_layer()
    counts = work(instructions, FIT_CONFIG)
    counts["cycles"] = counts["array_busy"]
    total = Range(0.0, 0.0, 0.0)
    for cost in event_costs(FIT_CONFIG, technology):
        total = total + cost.joules * (counts[cost.event] * 1e12 / macs)
    return total


Entry = dict[str, object]


def _entry(value: Range, unit: str, source: str, how: str) -> Entry:
    return {
        **{key: float(f"{getattr(value, key):.3g}") for key in ("low", "typical", "high")},
        "unit": unit,
        "source": source,
        "how": how,
    }


def _single(value: float, unit: str, source: str) -> Entry:
    return {"value": value, "unit": unit, "source": source, "how": "modelled"}


def _scaled(base: Technology, scale: Callable[[Range], Range], source: str) -> dict[str, Entry]:
    """Energies of events: all values of ``base`` but the static ones, by ``scale``."""
    entries: dict[str, Entry] = {}
    for key, value in base.values.items():
        if value.unit.startswith("pJ"):
            entries[key] = _entry(scale(value.range), value.unit, source, "modelled")
    for key in MEMORIES:
        points = []
        for kib, energy in base.memories[key].points:
            scaled = scale(energy)
            points.append(
                {"kib": kib}
                | {name: float(f"{getattr(scaled, name):.3g}") for name in ("low", "typical", "high")}
            )
        entries[key] = {"unit": MEMORY_UNIT, "source": source, "how": "modelled", "points": points}
    return entries


def _geometric(low: float, high: float) -> Range:
    return Range(low, math.sqrt(low * high), high)


def asic(node: float, volts: float, high_volts: float, leakage_node: float) -> dict[str, object]:
    """The contents of the file of a process: every energy of 45 nm times one factor, leakage from CACTI."""
    base = load_technology(BASE)
    factor, top = energy_of_node(node, volts), energy_of_node(node, high_volts)
    source = (
        f"{BASE} times {factor:.3g} ({volts:g} V)"
        + (f", high times {top:.3g} ({high_volts:g} V)" if top != factor else "")
        + f": {SCALING}"
        + ("" if node in NODES else ", between 32 and 20 nm")
    )
    area = AREA_OF_45.get(node) or _between(node, 20, AREA_OF_45[20], 32, AREA_OF_45[32])
    known_area = _between(leakage_node, 20, AREA_OF_45[20], 32, AREA_OF_45[32])
    pairs = [
        [_between(leakage_node, 22, table[22][i], 32, table[32][i]) for i in (0, 1)]
        for table in (LEAKAGE_KIB, LEAKAGE_MM2)
    ]
    if node == leakage_node:
        cacti, how = f"CACTI 7, lstp (low) and hp (high), {node:g} nm between 22 and 32", "modelled"
    else:
        cacti, how = f"leakage for the area as CACTI 7 has it at {leakage_node:g} nm, lstp and hp", "assumed"
    entries = _scaled(base, lambda r: Range(r.low * factor, r.typical * factor, r.high * top), source)
    dependence = base.values["data_dependence"]
    entries["data_dependence"] = _entry(dependence.range, dependence.unit, dependence.source, dependence.how)
    kib = _geometric(*(x * area / known_area for x in pairs[0]))
    register = _geometric(*(x * REGISTER_UM2 * area * 1e-3 for x in pairs[1]))
    entries["leakage_memory"] = _entry(kib, UNITS["leakage_memory"], f"{cacti}; typical: geometric mean", how)
    entries["leakage_register"] = _entry(
        register,
        UNITS["leakage_register"],
        f"{REGISTER_UM2} um2 of 45 nm times {area:.3g} for a bit with its logic; {cacti}; typical: geometric mean",
        how,
    )
    entries["device_power"] = _single(
        0.0, "W", "definition: all static power of a chip of its own is leakage"
    )
    title = f"{node:g} nm standard cells and SRAM at {volts:g} V, scaled from 45 nm"
    return {"title": title, "kind": "asic", "node_nm": node, "voltage_v": volts, **entries}


def fpga() -> dict[str, object]:
    """The contents of the UltraScale+ file: 16 nm by scaling, times the factor that the published systems need."""
    base, found = load_technology(BASE), fit()
    node = energy_of_node(16, 0.85)
    factor = found.pj_per_mac * (1 / (pj_per_mac(base).typical * node))
    source = (
        f"fitted: typical of {BASE} times {node:.3g} (16 nm, 0.85 V: {SCALING}) times {factor.low:.3g}, "
        f"{factor.typical:.3g} and {factor.high:.3g}, which {EFFICIENTVIT.source} (7.4 W, 780 GOPS) and Kria K26 with "
        "DPU B3136 (7.9 W, 0.92 TOPS at its peak) need; only their sum is fitted, not the split among events"
    )
    entries = _scaled(base, lambda r: factor * (r.typical * node), source)
    entries["data_dependence"] = _single(1.0, "1", "contained in the fit")
    for key in ("leakage_register", "leakage_memory"):
        entries[key] = _single(0.0, UNITS[key], "contained in device_power")
    entries["device_power"] = _entry(
        found.watts,
        "W",
        "fitted: typical is what the two chips of the energies leave for processor, DDR controller and leakage; high "
        f"is what Edge-MoE's ZCU102 takes beside its work ({EDGE_MOE.source}, 14.5 W); low is a third of ViTA's 0.88 W "
        "(arXiv 2302.09108; assumed)",
        "modelled",
    )
    title = "UltraScale+-class FPGA (16 nm), fitted to published systems"
    return {"title": title, "kind": "fpga", "node_nm": 16, "voltage_v": 0.85, **entries}


DERIVED: Mapping[str, Callable[[], dict[str, object]]] = {
    "asic-28nm": lambda: asic(28, 0.9, 0.9, 28),
    "asic-7nm": lambda: asic(7, 0.7, 0.9, 22),
    "fpga-ultrascale-plus": fpga,
}


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(entry)}" for key, entry in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def as_toml(contents: Mapping[str, object]) -> str:
    """The file's text: plain entries first, then a table for each value."""
    lines = ["# Made by `python -m benchmarks.technologies --write`; docs/energy.md says how."]
    lines += [f"{key} = {_inline(value)}" for key, value in contents.items() if not isinstance(value, dict)]
    for key, value in contents.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]"]
            for name, entry in value.items():
                if isinstance(entry, list):
                    lines += [f"{name} = [", *(f"    {_inline(point)}," for point in entry), "]"]
                else:
                    lines.append(f"{name} = {_inline(entry)}")
    return "\n".join(lines) + "\n"


def power(technology: Technology, gmacs: float) -> Range:
    """Watts of a machine that does ``gmacs`` as the layer of ``fit_layer`` does."""
    return technology["device_power"] + pj_per_mac(technology) * (gmacs / 1e3)


def _number_text(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _range_text(value: Range) -> str:
    if value.low == value.high:
        return _number_text(value.typical)
    return f"{_number_text(value.typical)} ({_number_text(value.low)}–{_number_text(value.high)})"


def values_table() -> str:
    """Every value of every technology, for docs/energy.md."""
    loaded = [load_technology(name) for name in named_technologies()]
    lines = [f"| | unit | {' | '.join(t.name for t in loaded)} |", "| --- " * (2 + len(loaded)) + "|"]
    for key, unit in UNITS.items():
        lines.append(f"| `{key}` | {unit} | {' | '.join(_range_text(t[key]) for t in loaded)} |")
    for key in MEMORIES:
        for kib, _ in loaded[0].memories[key].points:
            cells = " | ".join(_range_text(t.memories[key].at(kib)) for t in loaded)
            lines.append(f"| `{key}`, {kib:g} KiB | {MEMORY_UNIT} | {cells} |")
    return "\n".join(lines)


def drams_table() -> str:
    """Every type of DRAM, for docs/energy.md."""
    lines = ["| name | pJ/bit | source |", "| --- | --- | --- |"]
    for name in named_drams():
        dram = load_dram(name)
        lines.append(f"| `{name}` | {_range_text(dram.bit_pj)} | {dram.bit.source} |")
    return "\n".join(lines)


def fit_table() -> str:
    """Published systems and what the fitted model says of them, for docs/energy.md."""
    technology = load_technology("fpga-ultrascale-plus")
    lines = ["| system | MAC/s | published | modelled, typical (low–high) |", "| --- | --- | --- | --- |"]
    for s in SYSTEMS:
        modelled = _range_text(power(technology, s.gmacs))
        lines.append(f"| {s.name} | {s.gmacs:.3g} G | {s.watts:.2f} W | {modelled} W |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """docs/energy.md with its tables as the files have them now."""
    tables = {
        "formulas": formulas_table(),
        "values": values_table(),
        "fit": fit_table(),
        "drams": drams_table(),
    }
    for mark, table in tables.items():
        before, rest = text.split(f"<!-- {mark} -->\n")
        _, after = rest.split("<!-- end -->", 1)
        text = f"{before}<!-- {mark} -->\n{table}\n<!-- end -->{after}"
    return text


def main() -> None:
    """Print the fit; with ``--write`` write files and tables first."""
    if "--write" in sys.argv[1:]:
        for name, contents in DERIVED.items():
            (FOLDER / f"{name}.toml").write_text(as_toml(contents()))
        load_technology.cache_clear()
        PAGE.write_text(with_tables(PAGE.read_text()))
    found = fit()
    print(f"fit: {_range_text(found.watts)} W, {_range_text(found.pj_per_mac)} pJ for each MAC")
    print(fit_table())


if __name__ == "__main__":
    main()
