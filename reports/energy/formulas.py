"""The formulas of all energies as the table of docs/energy.md, which ``python -m benchmarks.technologies`` writes."""

from __future__ import annotations

from vitreous.reports.energy.energy import DRAM, DRAM_FORMULA, STATIC, TIME
from vitreous.reports.energy.event_costs import REQUANTIZATION, STATIC_FORMULA, event_costs
from vitreous.reports.energy.technology import DEFAULT_TECHNOLOGY, load_technology
from vitreous.reports.figures.ports import DRAM_PORTS
from vitreous.reports.tables import markdown_table
from vitreous.spec.config import AcceleratorConfig


def formulas_table() -> str:
    """A row of Markdown for each formula, with the counters and units that have it; it holds for every accelerator."""
    costs = event_costs(AcceleratorConfig(), load_technology(DEFAULT_TECHNOLOGY))
    rows = [(f"`{cost.event}`", cost.unit, cost.formula) for cost in costs]
    rows += [(f"`{event}`", DRAM, DRAM_FORMULA) for event in DRAM_PORTS.values()]
    rows += [(TIME, STATIC, STATIC_FORMULA)]
    lines = []
    for formula in dict.fromkeys(formula for _, _, formula in rows):
        same = [(event, unit) for event, unit, other in rows if other == formula]
        events, units = (", ".join(dict.fromkeys(names)) for names in zip(*same, strict=True))
        lines.append((events, units, formula))
    return f"{markdown_table(('event', 'unit', 'energy of one'), lines)}\n\nRequantization: {REQUANTIZATION}."
