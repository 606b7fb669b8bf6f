"""The report as one HTML page: everything inline, nothing loaded from anywhere."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from vitreous.reports import figures, picture, unit_page, unit_tables, units
from vitreous.reports.report import Report
from vitreous.spec.config import AcceleratorConfig


@cache
def _folder() -> Path:
    return Path(__file__).absolute().parent / "templates"


def grouped(value: float) -> str:
    """1234567 -> ``1 234 567`` with narrow spaces; numbers that are not whole keep one digit."""
    text = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    return text.replace(",", "\u202f")


def scaled(value: float) -> str:
    """1234567 -> ``1.23 M``: three significant digits, ready for a unit behind it."""
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}\u202f{sign}"
    return f"{value:.3g}\u202f"


def percent(value: float, digits: int = 1) -> str:
    """0.1234 -> ``12.3 %``."""
    return f"{100 * value:.{digits}f}\u202f%"


def _schedule_data(report: Report) -> str:
    data: dict[str, Any] = {
        "cycles": report.schedule.cycles,
        "labels": report.schedule.labels,
        "kinds": report.schedule.kinds,
        "queues": picture.QUEUES,
        "spans": report.schedule.spans,
        "bands": picture.layer_bands(report.schedule),
    }
    # "</" inside a script element would end it.
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/")


def _unit_words(report: Report) -> dict[str, Any]:
    """The comparison of the nonlinear units, this accelerator's ones marked; empty where the project has none."""
    found = units.load()
    if found is None:
        return {"unit_tables": [], "unit_advice": "", "unit_pictures": [], "unit_sources": {}}
    marked = units.of_accelerator(found, AcceleratorConfig.from_dict(report.config))
    return {
        "unit_tables": unit_tables.tables(marked),
        "unit_advice": unit_page.advice(found),
        "unit_pictures": unit_page.svg_elements(found),
        "unit_sources": found.sources,
    }


def render(report: Report) -> str:
    """The page of ``report``: self-contained, light and dark, for screens of any width and for paper."""
    folder = _folder()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(grouped=grouped, scaled=scaled, percent=percent)
    used = sorted({span[4] for span in report.schedule.spans})
    return environment.get_template("index.html").render(
        r=report,
        style=(folder / "style.css").read_text(),
        script=(folder / "schedule.js").read_text(),
        picture=picture.svg(report.schedule),
        schedule_data=_schedule_data(report),
        legend=[(index, report.schedule.kinds[index]) for index in used],
        tail=figures.TAIL,
        attention_cycles=sum(
            width.cycles
            for part in report.attention
            for width in part.widths
            if width.bits == part.probability_bits
        ),
        **_unit_words(report),
        widest=max((row.cycles for row in report.layers), default=1) or 1,
        most_bytes=max((row.bytes for row in report.traffic), default=1) or 1,
    )
