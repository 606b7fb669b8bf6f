"""The page of an ablation: bars of what each switched-off optimization costs, and the table; one file, light and dark.

``section`` is the part that another page can take, with ``STYLE`` in its head.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from vitreous.reports.ablation.ablation import Ablation, AblationRow
from vitreous.reports.area.area import COLUMN_NAMES

STYLE = """
.ablation .wide { overflow-x: auto; }
.ablation table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.ablation th, .ablation td { padding: .3em .7em; text-align: right; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid #8886; }
.ablation th.words, .ablation td.words { text-align: left; white-space: normal; min-width: 9em; }
.ablation small { opacity: .7; display: block; }
.ablation .bars { display: grid; grid-template-columns: minmax(8em, 22em) minmax(8em, 1fr); gap: .6em .8em;
  margin: 1em 0; max-width: 60em; }
.ablation .bar { background: #3b7dd8; height: 1.1em; border-radius: 2px; min-width: 2px; }
.ablation .bar.energy { background: #c9772e; }
.ablation .pair { display: grid; grid-template-columns: 1fr 5em; gap: .1em .5em; align-content: center;
  align-items: center; white-space: nowrap; }
@media (max-width: 40em) { .ablation .bars { grid-template-columns: 1fr; } }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 1.5em auto; max-width: 90em; padding: 0 1em; }}
{style}</style></head><body><h1>{title}</h1>
{section}
</body></html>
"""
_UNITS = {**COLUMN_NAMES, "bits": "memory bits"}
_TITLES = {
    "alone": "Each optimization switched off, alone",
    "cumulative": "Switched off one after another",
}


def page(ablation: Ablation) -> str:
    """The whole file."""
    title = f"Ablation: {ablation.model} on {ablation.accelerator}"
    return _PAGE.format(title=escape(title), style=STYLE, section=section(ablation))


def section(ablation: Ablation) -> str:
    """Settings, bars and tables, as a part of HTML."""
    clock = f"{ablation.clock_mhz:g} MHz ({ablation.clock_source})"
    parts = [
        f"<p>{escape(ablation.model)} ({escape(ablation.model_source)}) on {escape(ablation.accelerator)}, one image, "
        f"{clock} for every row, memory latency {ablation.memory_latency} cycles. "
        f"Energy: {escape(ablation.technology)} with {escape(ablation.dram)}, typical (low to high), modelled. "
        f"Area: {escape(ablation.target)}. Factors: row / baseline.</p>"
    ]
    for order, title in _TITLES.items():
        rows = [row for row in ablation.rows if row.order == order]
        parts.append(f"<h2>{title}</h2>{_bars(ablation, rows)}{_table(ablation, rows)}")
    parts.append(_candidates(ablation))
    return f'<div class="ablation">{"".join(parts)}</div>'


def _bars(ablation: Ablation, rows: Sequence[AblationRow]) -> str:
    """Two bars for each row: what its latency and energy are above the baseline's."""
    factors = [ablation.factors(row) for row in rows]
    longest = max((max(f["latency"], f["energy"]) - 1 for f in factors), default=0) or 1
    lines = []
    for row, factor in zip(rows, factors, strict=True):
        bars = "".join(
            f'<div class="bar {kind}" style="width:{max(0.0, 100 * (factor[kind] - 1) / longest):.1f}%" '
            f'title="{kind}"></div><span>{_percent(factor[kind])}</span>'
            for kind in ("latency", "energy")
        )
        lines.append(
            f'<div>{escape(row.name)}<small>{escape(row.change)}</small></div><div class="pair">{bars}</div>'
        )
    return (
        f'<p>Upper bar: more latency than the baseline; lower bar: more energy.</p><div class="bars">'
        f"{''.join(lines)}</div>"
    )


def _table(ablation: Ablation, rows: Sequence[AblationRow]) -> str:
    columns = list(ablation.baseline.area)
    heads = ["cycles", "ms", "energy, mJ", "DRAM, MB", *(_UNITS[c] for c in columns)]
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(_row(ablation, row, columns) for row in (ablation.baseline, *rows))
    return (
        f'<div class="wide"><table><thead><tr><th class="words">off</th>{head}<th class="words">how</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(ablation: Ablation, row: AblationRow, columns: Sequence[str]) -> str:
    factors, e = ablation.factors(row), row.energy
    area = "".join(
        _cell(f"{row.area[c]:,.0f}" if c in row.area else "–", _factor(factors.get(c))) for c in columns
    )
    cycles = _cell(f"{row.cycles:,}", _factor(factors["latency"]))
    energy = _cell(
        f"{1e3 * e.typical:.3g} ({1e3 * e.low:.3g} to {1e3 * e.high:.3g})", _factor(factors["energy"])
    )
    deviation = "" if row.deviation is None else f", cycle model {100 * row.deviation:+.2f} %"
    same = row is not ablation.baseline and row.area_how == ablation.baseline.area_how
    how = f"cycles {row.cycles_how}{deviation}; area {'as the baseline' if same else row.area_how}"
    results = "" if row.same_results else "; other numbers than the baseline"
    return (
        f'<tr><td class="words">{escape(row.name)}<small>{escape(row.change)}</small></td>{cycles}'
        f"<td>{row.latency_ms:.3g}</td>{energy}<td>{row.dram_bytes / 1e6:.3g}</td>{area}"
        f'<td class="words">{escape(row.method)}<small>{escape(how + results)}</small></td></tr>'
    )


def _candidates(ablation: Ablation) -> str:
    """Every pair of dedicated units that was considered, each once."""
    columns = list(ablation.baseline.area)
    lines = []
    for row in ablation.rows:
        for c in row.candidates if row.order == "alone" else ():
            area = "".join(f"<td>{c.area[name]:,.0f}</td>" if c.area else "<td>–</td>" for name in columns)
            how = "overlapped" if c.overlapped else "one after another"
            lines.append(
                f'<tr><td class="words">{escape(c.linear)}</td><td class="words">{escape(c.attention)}</td>'
                f'<td class="words">{how if c.area else "bound: the best share, overlapped"}</td>'
                f"<td>{c.cycles:,}<small>×{c.cycles / ablation.baseline.cycles:.3f}</small></td>{area}</tr>"
            )
    if not lines:
        return ""
    names = "".join(f"<th>{_UNITS[c]}</th>" for c in columns)
    return (
        "<h2>Dedicated units that were compared</h2><p>Overlapped: the projections of one head run beside the "
        'attention of the previous head.</p><div class="wide"><table><thead><tr><th class="words">linear layers</th>'
        '<th class="words">attention</th><th class="words">heads</th><th>cycles</th>'
        f"{names}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _percent(factor: float) -> str:
    more = round(100 * (factor - 1), 1)
    return f"{more:+.1f} %" if more else "0 %"


def _cell(text: str, small: str) -> str:
    return f"<td>{text}<small>{small}</small></td>"


def _factor(value: float | None) -> str:
    return "" if value is None or abs(value - 1) < 5e-4 else f"×{value:.3f}"
