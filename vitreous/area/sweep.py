"""``python -m vitreous.area.sweep``: measures the pieces of an accelerator at enough sizes to fit their formulas.

Writes ``reports/area/measured/TARGET.json``, from which ``reports.area.area`` composes any configuration. A piece is
run
where its
RTLIL, the script or Yosys has changed since it was last run; the rest comes from the cache.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from vitreous.area import area
from vitreous.area import cut as area_cut
from vitreous.area.points import ALL, points
from vitreous.errors import RunError
from vitreous.flow.display import Display
from vitreous.reports.area.area import FOLDER, FORMAT
from vitreous.reports.area.pieces import PIECES, Piece
from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis.cells import Library, library
from vitreous.reports.synthesis.synthesis import FAMILIES, Part, tool
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.folders import SYNTHESIS
from vitreous.spec.storage import write_text

BATCH = 12
"""Pieces that one run of Yosys maps: what an interruption can lose."""


@dataclass(frozen=True)
class Job:
    """A piece of a configuration, as RTLIL."""

    piece: Piece
    config: AcceleratorConfig
    part: Part

    def entry(self, cost: Mapping[str, float]) -> dict[str, Any]:
        """The run as it stands in the file."""
        return {
            "piece": self.piece.name,
            "variant": list(self.piece.variant(self.config)),
            "sizes": self.piece.sizes(self.config),
            "rtlil": area.digest(self.part.text),
            "cost": {c: round(v, 1) if c in ("um2", "delay_ps") else int(v) for c, v in cost.items()},
        }


def jobs(cache: Path, target: area.Target, chosen: Sequence[str]) -> Iterator[Job]:
    """Every piece of ``chosen`` in every point, each variant and size once; the RTL is made when it is asked for."""
    pieces = {piece.name: piece for piece in PIECES}
    seen = set()
    for config, names in points():
        fresh = [name for name in names if name in chosen and (name, pieces[name].key(config)) not in seen]
        if fresh:
            text = area_cut.whole(config, cache, target=area.target_name(target))
            for name, part in area_cut.cut(text, fresh).items():
                seen.add((name, pieces[name].key(config)))
                yield Job(pieces[name], config, part)


def number(chosen: Sequence[str]) -> int:
    """Of the jobs."""
    pieces = {piece.name: piece for piece in PIECES}
    return len(
        {(name, pieces[name].key(config)) for config, names in points() for name in names if name in chosen}
    )


def sweep(
    targets: Sequence[area.Target],
    folder: Path,
    cache: Path,
    display: Display,
    *,
    chosen: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> None:
    """Measure every piece on every target, or the pieces ``chosen``, or all but ``skip``.

    A target's file is written after each batch, so that an interruption loses nothing; runs of an earlier sweep stay in
    it until one of all pieces has ended. Raises RunError at the end where Yosys failed on pieces, with their names.
    """
    failed: list[str] = []
    names = [name for name in chosen or ALL if name not in skip]
    for target in targets:
        path = folder / f"{area.target_name(target)}.json"
        before, runs = _kept(path), dict[str, dict[str, Any]]()
        todo, total = jobs(cache, target, names), number(names)
        with display.stage(area.target_name(target)) as stage:
            tried = 0
            while batch := list(islice(todo, BATCH)):
                stage.part(batch[0].piece.name, tried, total)
                runs |= {_key(entry): entry for entry in _measured(batch, target, cache, failed)}
                tried += len(batch)
                ended = len(runs) == total and len(names) == len(ALL)
                write_text(path, _text(target, list((runs if ended else before | runs).values())))
            stage.note(f"{len(runs)} runs, {tool()}")
    if failed:
        raise RunError(f"Yosys failed on {len(failed)} pieces: {'; '.join(failed)}")


def _measured(
    batch: Sequence[Job], target: area.Target, cache: Path, failed: list[str]
) -> list[dict[str, Any]]:
    """The runs of a batch. Where Yosys fails, of its halves, so that one piece does not cost the others."""
    try:
        costs = area.costs([job.part for job in batch], target, cache)
    except ReportError as error:
        if len(batch) == 1:
            piece, config = batch[0].piece, batch[0].config
            failed.append(f"{piece.name} {piece.variant(config)} {piece.sizes(config)}: {error}")
            return []
        half = len(batch) // 2
        return [
            entry for part in (batch[:half], batch[half:]) for entry in _measured(part, target, cache, failed)
        ]
    return [job.entry(cost) for job, cost in zip(batch, costs, strict=True)]


def _kept(path: Path) -> dict[str, dict[str, Any]]:
    """The runs of an earlier sweep; none where the file is missing or of another kind."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {_key(run): run for run in data["runs"]} if data["format"] == FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _key(run: dict[str, Any]) -> str:
    """What a run is of: a later run of the same takes its place."""
    return json.dumps([run["piece"], run["variant"], run["sizes"]], sort_keys=True)


def _text(target: area.Target, runs: Sequence[dict[str, Any]]) -> str:
    """One line a run, so that a change shows as the lines that changed."""
    head = {
        "format": FORMAT,
        "target": area.target_name(target),
        "tool": tool(),
        "columns": list(area.columns(target)),
    }
    if isinstance(target, Library):
        head["library"] = target.described
    order = {name: index for index, name in enumerate(ALL)}
    lines = sorted(runs, key=lambda run: (order[run["piece"]], run["variant"], sorted(run["sizes"].items())))
    body = ",\n".join(json.dumps(run) for run in lines)
    return json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n{body}\n]\n}}\n'


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the measurements of one or more targets to ``--data``."""
    parser = argparse.ArgumentParser(prog="python -m vitreous.area.sweep", description=main.__doc__)
    parser.add_argument(
        "--target",
        action="append",
        choices=FAMILIES,
        help="may be repeated (default: xcup, ecp5, the library)",
    )
    parser.add_argument("--liberty", type=Path, help="a standard-cell library to measure too, if it exists")
    parser.add_argument("--name", default="", help="its name (default: that of the library)")
    parser.add_argument("--piece", action="append", choices=ALL, help="only this piece; may be repeated")
    parser.add_argument("--skip", action="append", choices=ALL, help="all but this piece; may be repeated")
    parser.add_argument(
        "--data", type=Path, default=FOLDER, help="folder of the data (default: the report's)"
    )
    parser.add_argument("--cache", type=Path, default=SYNTHESIS, help="folder of results that are kept")
    chosen = parser.parse_args(arguments)
    targets: list[area.Target] = [area.family(name) for name in chosen.target or ("xcup", "ecp5")]
    if chosen.liberty is not None and chosen.liberty.exists():
        targets.append(library(chosen.liberty, name=chosen.name))
    elif chosen.liberty is not None:
        print(
            f"vitreous.area.sweep: {chosen.liberty} does not exist: standard cells are not measured",
            file=sys.stderr,
        )
    try:
        sweep(
            targets,
            chosen.data,
            chosen.cache,
            Display(),
            chosen=chosen.piece or (),
            skip=chosen.skip or (),
        )
    except RunError as error:
        sys.exit(f"vitreous.area.sweep: {error}")
    except KeyboardInterrupt:
        sys.exit("vitreous.area.sweep: interrupted; the same command resumes where it stopped")


if __name__ == "__main__":
    main()
