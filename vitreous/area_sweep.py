"""``python -m vitreous.area_sweep``: measures the pieces of an accelerator at enough sizes to fit their formulas.

Writes ``reports/area/TARGET.json``, from which ``reports.area`` composes any configuration. A piece is run where its
RTLIL, the script or Yosys has changed since it was last run; the rest comes from the cache.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitreous import area
from vitreous.cost import DEFAULT_CACHE
from vitreous.display import Display
from vitreous.reports.area import FOLDER, FORMAT
from vitreous.reports.area_pieces import PIECES, Piece
from vitreous.reports.cells import Library, library
from vitreous.reports.synthesis import FAMILIES, tool
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.workspace import write_text

Point = tuple[AcceleratorConfig, tuple[str, ...]]
ALL = tuple(piece.name for piece in PIECES)
MEMORIES = tuple(piece.name for piece in PIECES if piece.memory)
_BY_LANES = ("array", "planes", "fusion", "gelu", "statistics", "prologue", "feed", "row", "load", "store")
_BY_WORDS = ("array", "prologue", "feed", "row", "load", "store")
_BY_BUS = ("load", "store", "fetch", "channel")


def points() -> Iterator[Point]:
    """Configurations, and which pieces are measured in each: every term of every piece varies at least once."""
    yield load_accelerator("edge64"), ALL
    small = _shape(4, 4)
    yield _shape(4, 1), _BY_WORDS
    yield _shape(8, 1), (*_BY_LANES, "memory_s")
    yield _shape(4, 8), _BY_WORDS
    for bits in (128, 256):
        yield replace(small, bus=replace(small.bus, data_bits=bits)), _BY_BUS
    yield replace(small, bus=replace(small.bus, outstanding_reads=16)), ("load",)
    yield replace(small, bus=replace(small.bus, burst_beats=64)), _BY_BUS
    for depth in (2, 32):
        yield replace(small, queue=replace(small.queue, depth=depth)), ("queue",)
    yield from _multipliers()
    yield from _softmax(small)
    yield from _gelu(small)
    for shape in (small, _shape(8, 1)):
        yield replace(shape, norm=replace(shape.norm, variant="two_pass")), ("row",)
    # Last, because they take longest.
    yield load_accelerator("square256"), (*_BY_LANES, *MEMORIES)
    yield load_accelerator("edge256"), ALL


def _shape(lanes: int, depth: int) -> AcceleratorConfig:
    """Small memories: only the memory pieces depend on them, and they take long to write out."""
    base = load_accelerator("edge64")
    memory = replace(
        base.memory, activation_kib=4, weight_kib=4, residual_kib=4, parameter_entries=256, score_keys=64
    )
    return replace(base, array=replace(base.array, lanes=lanes, depth=depth), memory=memory)


def _multipliers() -> Iterator[Point]:
    for name in ("accumulate", "packed"):
        for lanes, depth in ((4, 4), (8, 4), (4, 1), (8, 1)):
            base = load_accelerator("edge64")
            # A sum is as wide as W can make it.
            array = replace(base.array, lanes=lanes, depth=depth, multiplier=name)
            memory = replace(base.memory, activation_kib=4, residual_kib=4)
            yield replace(base, array=array, memory=memory), ("array",)


def _softmax(small: AcceleratorConfig) -> Iterator[Point]:
    wide = _shape(8, 1)
    for variant in ("base2", "online", "ibert", "ita"):
        for shape in (small, wide):
            softmax = replace(shape.softmax, variant=variant)
            if variant != "base2":
                yield replace(shape, softmax=softmax), ("statistics", "prologue", "feed")
            yield (
                replace(shape, softmax=replace(softmax, probability_bits=8)),
                ("prologue", "planes", "feed") if variant == "base2" else ("prologue",),
            )
    for bits in (6, 8):
        softmax = replace(small.softmax, fraction_bits=bits)
        yield replace(small, softmax=softmax), ("statistics", "prologue")


def _gelu(small: AcceleratorConfig) -> Iterator[Point]:
    default = small.gelu
    for fields in ({"step_bits": 7}, {"fraction_bits": 20}, {"step_bits": 4, "fraction_bits": 10}):
        yield replace(small, gelu=replace(default, **fields)), ("gelu", "fusion")
    for function, reach in (("gelu", 4.5), ("silu", 8.0)):
        for variant in ("delta", "constant", "table", "poly", "shift"):
            if (variant, function) == ("poly", "silu") or (variant, function) == ("delta", "gelu"):
                continue
            gelu = replace(
                default,
                function=function,
                variant="delta" if variant == "constant" else variant,
                interpolate=variant != "constant",
                range=reach,
            )
            yield replace(small, gelu=gelu), ("gelu", "feed")
    # The finest direct table, which `vitreous ablate` sets beside the default.
    shape = _shape(8, 4)
    yield replace(shape, gelu=replace(default, variant="table", step_bits=8)), ("gelu",)


def sweep(targets: Sequence[area.Target], folder: Path, cache: Path, display: Display, only: int = 0) -> None:
    """Measure every point on every target.

    A target's file is written after each point, so that an interruption loses nothing; runs of an earlier sweep stay in
    it until this one has ended.
    """
    chosen = list(points())[: only or None]
    runs: dict[str, dict[str, dict[str, Any]]] = {_name(target): {} for target in targets}
    before = {_name(target): _kept(folder / f"{_name(target)}.json") for target in targets}
    with display.stage("area") as stage:
        for index, (config, names) in enumerate(chosen):
            text = area.area_cut.whole(config)
            for target in targets:
                name = _name(target)
                what = f"{config.array.lanes}x{config.array.lanes}x{config.array.depth}, {name}"
                stage.part(what, index, len(chosen))
                for one in area.measure(text, target, names=names, cache=cache):
                    assert one.piece is not None
                    entry = _entry(one, one.piece, config)
                    runs[name].setdefault(_key(entry), entry)
                last = index == len(chosen) - 1 and not only
                merged = runs[name] if last else {**before[name], **runs[name]}
                write_text(folder / f"{name}.json", _text(target, list(merged.values())))
        stage.note(f"{len(chosen)} configurations, {tool()}")


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


def _entry(one: area.Measured, piece: Piece, config: AcceleratorConfig) -> dict[str, Any]:
    cost = {
        name: round(value, 1) if name in ("um2", "delay_ps") else int(value)
        for name, value in one.cost.items()
    }
    return {
        "piece": piece.name,
        "variant": list(piece.variant(config)),
        "sizes": piece.sizes(config),
        "rtlil": one.digest,
        "cost": cost,
    }


def _text(target: area.Target, runs: Sequence[dict[str, Any]]) -> str:
    """One line a run, so that a change shows as the lines that changed."""
    head = {"format": FORMAT, "target": _name(target), "tool": tool(), "columns": list(area.columns(target))}
    if isinstance(target, Library):
        head["library"] = target.described
    order = {name: index for index, name in enumerate(ALL)}
    lines = sorted(runs, key=lambda run: (order[run["piece"]], run["variant"], sorted(run["sizes"].items())))
    body = ",\n".join(json.dumps(run) for run in lines)
    return json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n{body}\n]\n}}\n'


def _name(target: area.Target) -> str:
    return target.name if isinstance(target, Library) else target


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the measurements of one or more targets to ``--data``."""
    parser = argparse.ArgumentParser(prog="python -m vitreous.area_sweep", description=main.__doc__)
    parser.add_argument(
        "--target", action="append", choices=FAMILIES, help="may be repeated (default: xcup and ecp5)"
    )
    parser.add_argument("--liberty", type=Path, help="a standard-cell library to measure too, if it is there")
    parser.add_argument("--name", default="", help="its name (default: that of the library)")
    parser.add_argument(
        "--data", type=Path, default=FOLDER, help="folder of the data (default: the report's)"
    )
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="folder of results that are kept")
    parser.add_argument("--points", type=int, default=0, help="only the first N configurations")
    chosen = parser.parse_args(arguments)
    targets: list[area.Target] = [area.family(name) for name in chosen.target or ("xcup", "ecp5")]
    if chosen.liberty is not None and chosen.liberty.exists():
        targets.append(library(chosen.liberty, name=chosen.name))
    elif chosen.liberty is not None:
        print(f"vitreous.area_sweep: {chosen.liberty} is not there: no standard cells", file=sys.stderr)
    try:
        sweep(targets, chosen.data, chosen.cache, Display(), chosen.points)
    except KeyboardInterrupt:
        sys.exit("vitreous.area_sweep: interrupted; the same command goes on where it stopped")


if __name__ == "__main__":
    main()
