"""docs/results/upsets.md."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from campaigns.upsets.kinds import Stratum, Verdict, role, stratum, verdict
from vitreous.reports.figures.interval import wilson
from vitreous.sim.run.state import Element
from vitreous.sim.run.toolchain import verilator
from vitreous.sim.upsets.runs import Upset
from vitreous.spec.config import AcceleratorConfig

_ORDER = (Verdict.MASKED, Verdict.WRONG, Verdict.HANG, Verdict.ERROR, Verdict.OUTSIDE)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Flips of one draw on one accelerator. where : in words, what was drawn from. cycles : of the run without a flip.
    seconds : of wall time in this call."""

    config: AcceleratorConfig
    where: str
    state: Sequence[Element]
    cycles: int
    seed: int
    upsets: Sequence[Upset]
    seconds: float


def page(campaigns: Sequence[Campaign], command: str) -> str:
    """The whole page."""
    lines = [
        "# Upsets: one bit of a running machine turned over",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, `{command}`, {platform.machine()}, {os.cpu_count()} cores, {verilator()}.",
        "",
        "Each run of one encoder block (five tokens of 8 channels, two heads, every intermediate stored and compared",
        "with golden) has one flip of a flip-flop or of a memory's bit, at a random cycle, in the RTL. Tables of",
        "constants are not state. *Masked*: done, and every byte right. *Wrong result*: done, a byte differs.",
        "*Hang*: no interrupt in the bound. *Error code*: the machine stopped by itself. *Write outside*: a byte",
        "outside the window of writes would have changed, whatever else happened. In brackets the 95 % interval",
        "(Wilson).",
    ]
    for campaign in campaigns:
        lines += ["", *_section(campaign)]
    return "\n".join(lines) + "\n"


def summary(campaign: Campaign) -> str:
    """One line: how often each verdict came."""
    counts = Counter(map(verdict, campaign.upsets))
    return ", ".join(f"{100 * counts[kind] / counts.total():.1f} % {kind}" for kind in _ORDER)


def _section(campaign: Campaign) -> list[str]:
    of = {element.path: element for element in campaign.state}
    strata = {kind: sum(e.bits for e in campaign.state if stratum(e) is kind) for kind in Stratum}
    bits = ", ".join(f"{count:,} in {kind}" for kind, count in strata.items())
    return [
        f"## {campaign.config.name}: {campaign.where}",
        "",
        f"{len(campaign.upsets):,} flips, seed {campaign.seed}, {campaign.cycles:,} cycles without a flip, "
        f"{campaign.seconds:.0f} s of wall time. The machine has {sum(strata.values()):,} bits of state: {bits}.",
        "",
        *_table("state", campaign, lambda upset: stratum(of[upset.flip.path])),
        "",
        *_table("what it is for", campaign, lambda upset: role(upset.flip.path)),
        "",
        *_table("unit", campaign, lambda upset: upset.flip.path.split(".")[0].rstrip("0123456789")),
        "",
        _ends(campaign),
    ]


def _table(title: str, campaign: Campaign, key: Callable[[Upset], str]) -> list[str]:
    groups: dict[str, Counter[Verdict]] = {}
    for upset in campaign.upsets:
        groups.setdefault(key(upset), Counter())[verdict(upset)] += 1
    rows = sorted(groups.items(), key=lambda item: -item[1].total())
    rows.append(("all", sum(groups.values(), Counter())))
    return [
        f"| {title} | flips | {' | '.join(_ORDER)} |",
        f"| --- | ---: | {' | '.join(['---:'] * len(_ORDER))} |",
        *(_row(name, counts) for name, counts in rows),
    ]


def _row(name: str, counts: Counter[Verdict]) -> str:
    flips = counts.total()
    cells = []
    for kind in _ORDER:
        low, high = (100 * end for end in wilson(counts[kind], flips))
        cells.append(f"{counts[kind]}: {100 * counts[kind] / flips:.1f} % ({low:.1f} to {high:.1f})")
    return f"| {name} | {flips} | {' | '.join(cells)} |"


def _ends(campaign: Campaign) -> str:
    """Codes, hangs and what a reset mended."""
    codes = Counter(upset.error.name for upset in campaign.upsets if upset.error is not None)
    silent = sum(verdict(upset) is Verdict.HANG and upset.done for upset in campaign.upsets)
    bad = [upset for upset in campaign.upsets if verdict(upset) is not Verdict.MASKED]
    mended = sum(upset.recovered for upset in bad)
    return (
        f"Error codes: {', '.join(f'{name} {count}' for name, count in codes.most_common()) or 'none'}. Of the hangs "
        f"{silent} were done and gave no interrupt. After {mended} of the {len(bad)} flips that were not masked "
        "CONTROL.reset alone brought back a machine that runs the program right."
    )
