"""The report as one HTML page: everything inline, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from vitreous.reports import formatting
from vitreous.reports.ablation import words as ablation_words
from vitreous.reports.area.area import COLUMN_NAMES, COLUMN_TEXT
from vitreous.reports.area.devices import COMPOSED
from vitreous.reports.draw import colours, memory_chart, roofline_chart, timeline
from vitreous.reports.energy import page as energy_page
from vitreous.reports.exploration import words as exploration_words
from vitreous.reports.exploration.exploration import ExploredPoint
from vitreous.reports.figures.memory_map import runs
from vitreous.reports.figures.probabilities import Width, sentences
from vitreous.reports.figures.schedule import EMPTY, QUEUES
from vitreous.reports.page import brief
from vitreous.reports.record.provenance import HOW_MEANING, HOW_SHORT
from vitreous.reports.report import Report
from vitreous.reports.units import page as unit_page
from vitreous.reports.units import tables as unit_tables
from vitreous.reports.units import units
from vitreous.spec.config import AcceleratorConfig

SECTIONS = (
    "summary",
    "stalls",
    "schedule",
    "layers",
    "roofline",
    "energy",
    "area",
    "clock",
    "memory",
    "dram",
    "attention",
    "checks",
    "exploration",
    "ablation",
    "activity",
    "units",
    "words",
    "sources",
    "configuration",
)
"""Templates in ``templates/sections``, in the order of the page; the first is on the printed summary too."""
CONTENTS = {
    "time": "Time",
    "schedule-section": "Schedule",
    "layers": "Layers",
    "roofline": "Roofline",
    "energy": "Energy",
    "area": "Area",
    "clock": "Clock",
    "memory": "Memory",
    "dram": "DRAM traffic",
    "attention": "Probabilities",
    "checks": "Checks",
    "exploration": "Exploration",
    "ablation": "Ablation",
    "activity": "Activity",
    "units": "Nonlinear units",
    "words": "Words",
    "sources": "Sources",
    "configuration": "Configuration",
}
"""Anchors of the page with their names; those of sections that a run does not have are left out."""
LARGEST_TENSORS = 10
"""Rows of the table of what moves most between DRAM and the chip."""
STYLES = ("base", "tables", "figures", "print")


@cache
def folder() -> Path:
    """Where the templates, styles and scripts are."""
    return Path(__file__).absolute().parent / "templates"


@cache
def environment() -> jinja2.Environment:
    """Of every page of reports: escapes text, refuses names that are not there, knows the filters of ``formatting``."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        formatting.grouped,
        formatting.figures3,
        formatting.figures_or_whole,
        formatting.counted,
        formatting.with_prefix,
        formatting.percent,
        formatting.code,
        formatting.breakable,
        formatting.first_word,
        formatting.sentence,
    ):
        made.filters[function.__name__] = function
    made.globals.update(
        how_meaning=HOW_MEANING, how_short=HOW_SHORT, queue_colours=colours.QUEUES, port_colour=colours.port
    )
    return made


@cache
def style() -> str:
    """All style sheets as one."""
    return "".join((folder() / f"{name}.css").read_text() for name in STYLES)


@cache
def script(name: str) -> str:
    """A script of the templates' folder."""
    return (folder() / f"{name}.js").read_text()


@cache
def _shipped_units() -> tuple[units.Units, str, list[tuple[str, str]]] | None:
    """The comparison of the nonlinear units that comes with the project, its advice and its pictures."""
    found = units.load()
    return None if found is None else (found, unit_page.advice(found), unit_page.svg_elements(found))


def _unit_words(report: Report) -> dict[str, Any]:
    """The nonlinear units, this accelerator's ones marked; empty where the project has no comparison."""
    shipped = _shipped_units()
    if shipped is None:
        return {
            "unit_tables": [],
            "unit_advice": "",
            "unit_pictures": [],
            "unit_sources": {},
            "unit_images": 0,
        }
    found, advice, pictures = shipped
    marked = units.of_accelerator(found, AcceleratorConfig.from_dict(report.config))
    return {
        "unit_tables": unit_tables.tables(marked),
        "unit_advice": advice,
        "unit_pictures": pictures,
        "unit_sources": found.sources,
        "unit_images": found.images,
    }


def _schedule_words(report: Report) -> dict[str, Any]:
    kinds = sorted({span[4] for span in report.schedule.spans})
    causes = sorted({wait[3] for wait in report.schedule.waits} - {EMPTY})
    totals = [[0] * len(report.schedule.causes) for _ in QUEUES]
    for queue, start, end, cause in report.schedule.waits:
        totals[queue][cause] += end - start
    return {
        "picture": timeline.svg(report.schedule),
        "schedule_data": timeline.data(report.schedule),
        "legend": [(index, report.schedule.kinds[index]) for index in kinds],
        "wait_legend": [(index, report.schedule.causes[index]) for index in causes],
        "waiting": list(zip(QUEUES, totals, strict=True)) if report.schedule.waits else [],
    }


def _roofline_words(report: Report) -> dict[str, Any]:
    line = report.roofline
    if not line.points:
        return {"roofline_rows": []}
    groups = roofline_chart.groups(report)
    kinds = roofline_chart.kind_of(report)
    return {
        "roofline_wide": roofline_chart.draw(report, "wide", 860, 400),
        "roofline_narrow": roofline_chart.draw(report, "narrow", 340, 320),
        "roofline_legend": [
            (kinds[members[0].label], f"{number}: {name}")
            for number, (name, members) in enumerate(groups.items(), 1)
        ],
        "roofline_rows": [*line.points, *([line.whole] if line.whole else [])],
    }


def _memory_words(report: Report) -> dict[str, Any]:
    chip = report.memory_map.chip
    labels = [use.layer for use in chip[0].layers] if chip else []
    return {
        "memory_picture": memory_chart.draw(report, "wide", 900) + memory_chart.draw(report, "narrow", 340),
        "memory_largest": memory_chart.largest(report),
        "cause_colours": colours.CAUSES,
        "largest_tensors": LARGEST_TENSORS,
        "layer_uses": [(label, [m.layers[n].words for m in chip]) for n, label in enumerate(labels)],
        "dram_runs": runs(report.memory_map.dram),
        "dram_colours": colours.DRAM_REGIONS,
        "most_bytes": max((row.bytes for row in report.traffic), default=1) or 1,
    }


def _area_words(report: Report) -> dict[str, Any]:
    return {
        "column_text": COLUMN_TEXT,
        "column_names": COLUMN_NAMES,
        "composed": COMPOSED,
        "area_columns": {c for target in report.area for c in target.columns},
        "widest_block": {
            target.target: max((getattr(b, target.columns[0]) or 0 for b in target.blocks), default=1) or 1
            for target in report.area
            if target.columns
        },
    }


def _exploration_words(report: Report) -> dict[str, Any]:
    """The pictures of each search, and whether a point is the accelerator of this run, whatever its name."""
    own = {part: value for part, value in report.config.items() if part != "name"}

    def same_machine(point: ExploredPoint) -> bool:
        return point.config is not None and own == {p: v for p, v in point.config.items() if p != "name"}

    return exploration_words.words(report.exploration, {}, same_machine, "elsewhere")


def _layer_words(report: Report) -> dict[str, Any]:
    taken = [w for part in report.attention for w in part.widths if w.bits == part.probability_bits]
    return {
        "widest": max((row.cycles for row in report.layers), default=1) or 1,
        "stall_colours": colours.STALLS,
        "attention_cycles": sum(width.cycles for width in taken),
        "attention_reasons": _reasons(report),
    }


def _reasons(report: Report) -> list[str]:
    """Why the attentions have their precisions; empty where the graph does not say."""
    if report.probabilities is None:
        return []
    widths = [Width(part.layer or part.name, part.probability_bits, part.gain) for part in report.attention]
    return sentences(report.probabilities, widths)


def contents(text: str, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Of ``names`` (anchor, name) those whose anchor is in ``text``."""
    return [(anchor, name) for anchor, name in names.items() if f'id="{anchor}"' in text]


def render(report: Report) -> str:
    """The page of ``report``: self-contained, light and dark, for screens of any width and for paper."""
    words: dict[str, Any] = {
        "r": report,
        "own_baseline": report.ablation is not None and report.ablation.config == report.config,
        **_schedule_words(report),
        **_layer_words(report),
        **_roofline_words(report),
        **energy_page.words(report),
        **_area_words(report),
        **_exploration_words(report),
        **ablation_words.words(report.ablation, "elsewhere"),
        **_memory_words(report),
        **_unit_words(report),
        **brief.words(report),
    }
    made = environment()
    top, *rest = [made.get_template(f"sections/{name}.html").render(words) for name in SECTIONS]
    body = "\n".join(rest)
    return made.get_template("index.html").render(
        words,
        summary=top,
        body=body,
        contents=contents(body, CONTENTS),
        style=style(),
        script=script("schedule"),
    )
