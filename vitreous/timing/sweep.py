"""``python -m vitreous.timing.sweep``: the clock of the presets on every target of them, for reports and docs.

Writes ``reports/timing/measured.json`` and docs/results/timing.md. What is of the same RTL as before comes from the
cache.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from vitreous.flow.display import Display
from vitreous.reports.errors import ReportError
from vitreous.reports.timing import measured
from vitreous.reports.timing.delays import load_delays
from vitreous.reports.timing.measured import Measured
from vitreous.reports.timing.result import Path as TimedPath
from vitreous.reports.timing.result import Timing
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.spec.folders import SYNTHESIS
from vitreous.spec.storage import write_text
from vitreous.spec.variants import Multiplier
from vitreous.timing.timing import measure

RUNS = (
    ("edge64", "plain", ("xcup-2", "xc7-1")),
    ("edge64-ecp5", "plain", ("ecp5",)),
    ("edge256", "plain", ("xcup-2", "xc7-1", "xc7-2")),
    ("edge256", "packed", ("xcup-2",)),
    ("edge1024", "plain", ("xcup-2", "xc7-1")),
    ("edge1024", "packed", ("xcup-2",)),
)
"""Presets, the multiplier of their array, and targets. ``packed`` names primitives of UltraScale+."""
MARK = "<!-- results -->"
WORST = 10
COMMAND = "make timing"


def configuration(name: str, multiplier: str) -> AcceleratorConfig:
    """A preset, with another multiplier in its array where that is not its own."""
    config = load_accelerator(name)
    if config.array.multiplier == multiplier:
        return config
    return replace(
        config, name=f"{name}-{multiplier}", array=replace(config.array, multiplier=Multiplier(multiplier))
    )


def sweep(chosen: Sequence[str], data: Path, page: Path | None, cache: Path, display: Display) -> None:
    """Measure every run of the presets ``chosen``; results of others stay. Files are written after each run."""
    before = {_key(run): run for run in measured.shipped(data)} if data.is_file() else {}
    for name, multiplier, targets in RUNS:
        for target in targets if name in chosen else ():
            config, delays = configuration(name, multiplier), load_delays(target)
            found = measure(config, delays, cache=cache, display=display)
            run = Measured(
                accelerator=config.name,
                configuration=config.digest,
                sources=measured.sources(),
                timing=_short(found),
            )
            before[_key(run)] = run
            write_text(data, _text(tuple(before.values())))
    if page is not None:
        _write_page(page, tuple(before.values()))


def _key(run: Measured) -> tuple[str, str]:
    return run.accelerator, run.timing.target


def _short(found: Timing) -> Timing:
    """What ships: ten paths whole, of every block's worst path only its ends."""
    blocks = tuple(replace(worst, path=replace(worst.path, steps=())) for worst in found.blocks)
    return replace(found, paths=found.paths[:WORST], blocks=blocks)


def _text(runs: tuple[Measured, ...]) -> str:
    """One line a run, so that a change shows as the lines that changed."""
    head = {
        "format": measured.FORMAT,
        "date": _today(),
        "machine": _machine(),
        "command": COMMAND,
    }
    body = ",\n".join(json.dumps(asdict(run)) for run in runs)
    return json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n{body}\n]\n}}\n'


def _today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _write_page(page: Path, runs: tuple[Measured, ...]) -> None:
    """Put the results between the marks of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARK)
    _, _, after = rest.partition(MARK)
    write_text(page, f"{before}{MARK}\n" + "\n".join(_lines(runs)) + f"\n{MARK}{after}")


def _lines(runs: tuple[Measured, ...]) -> Iterator[str]:
    yield f"`{COMMAND}` on {_today()}, {_machine()}, {runs[0].timing.tool}."
    yield ""
    yield "| accelerator | target | clock, MHz | range | model, ns | worst path ends in | levels | over budget |"
    yield "| --- | --- | ---: | ---: | ---: | --- | ---: | ---: |"
    for run in runs:
        t, worst = run.timing, run.timing.paths[0]
        stale = "" if run.sources == measured.sources() else " (another RTL)"
        yield (
            f"| {run.accelerator}{stale} | {t.target} | {t.clock_mhz:.0f} | {t.low:.0f} to {t.high:.0f} | "
            f"{t.model_ns:.2f} | {worst.block} | {worst.levels} | {t.over:,} of {t.endpoints:,} over "
            f"{t.budget_mhz:.0f} MHz |"
        )
    for run in runs:
        if run.accelerator == "edge256":
            yield from _worst(run)


def _worst(run: Measured) -> Iterator[str]:
    t = run.timing
    yield from ("", f"## The worst paths of {run.accelerator} on {t.target}", "")
    yield "| ns | model | levels | fan-out | from | to | past |"
    yield "| ---: | ---: | ---: | ---: | --- | --- | --- |"
    for path in t.paths:
        yield f"| {path.ns:.2f} | {path.model_ns:.2f} | {path.levels} | {path.fanout} | {_ends(path)} |"
    yield from ("", f"Worst path of each block of {run.accelerator} on {t.target}:", "")
    yield "| block | ns | model | levels | end points | over budget | from |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for worst in t.blocks[:20]:
        path = worst.path
        yield (
            f"| {path.block} | {path.ns:.2f} | {path.model_ns:.2f} | {path.levels} | {worst.endpoints:,} | "
            f"{worst.over:,} | `{path.start}` |"
        )


def _ends(path: TimedPath) -> str:
    past = list(dict.fromkeys(name for step in path.steps for name in step.beside))[:5]
    return f"`{path.start}` | `{path.end}` ({path.pin}) | {', '.join(f'`{name}`' for name in past)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the clocks of the presets."""
    names = tuple(dict.fromkeys(name for name, _, _ in RUNS))
    parser = argparse.ArgumentParser(prog="python -m vitreous.timing.sweep", description=main.__doc__)
    parser.add_argument(
        "--accelerator", action="append", choices=names, help="only this preset; may be repeated"
    )
    parser.add_argument("--data", type=Path, default=measured.MEASURED, help="file of the results")
    parser.add_argument("--page", type=Path, help="a page whose results are between two marks")
    parser.add_argument("--cache", type=Path, default=SYNTHESIS, help="folder of results that are kept")
    chosen = parser.parse_args(arguments)
    try:
        sweep(chosen.accelerator or names, chosen.data, chosen.page, chosen.cache, Display())
    except ReportError as error:
        sys.exit(f"vitreous.timing.sweep: {error}")
    except KeyboardInterrupt:
        sys.exit("vitreous.timing.sweep: interrupted; the same command resumes where it stopped")


if __name__ == "__main__":
    main()
