"""Area of a whole accelerator, composed of measured pieces in a few milliseconds and without any tool.

The measurements come with the project: ``measured/TARGET.json``, written by `make area`. A piece that was measured
with the same variant and the same sizes counts as measured; any other one is taken from the least-squares fit of its
formula (``reports.area.pieces``) over the runs of the same variant. Block memory is counted by the family's documented
geometry (``reports.area.block_memory``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, assert_never

from vitreous.reports.area.block_memory import GEOMETRIES, ultra_memories
from vitreous.reports.area.fit import Estimate, Fit, Run
from vitreous.reports.area.pieces import PIECES, Piece
from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format, structured
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.variants import MemoryStyle

FORMAT = "vitreous.area/1"
FOLDER = Path(__file__).absolute().parent / "measured"
COLUMNS = ("lut", "ff", "dsp", "bram", "uram", "um2", "bits")
COLUMN_NAMES: Mapping[str, str] = {
    "lut": "LUT",
    "ff": "FF",
    "dsp": "DSP",
    "bram": "BRAM",
    "uram": "URAM",
    "um2": "µm²",
    "bits": "bits",
}
COLUMN_TEXT: Mapping[str, str] = {
    "lut": "look-up tables",
    "ff": "flip-flops",
    "dsp": "multiplier blocks",
    "bram": "block memories (UltraScale+: units of 18 Kbit)",
    "uram": "UltraRAMs of 288 Kbit",
    "um2": "area of standard cells before placement, µm²; memories not counted",
    "bits": "bits of memories that are macros and no cells",
}


@dataclass(frozen=True, kw_only=True)
class BlockArea:
    """One block. A column is None where the target has no such thing; ``COLUMN_TEXT`` says what each counts.

    how : ``measured``, or ``modelled`` with how far the formula can be trusted.
    """

    name: str
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram: int | None = None
    uram: int | None = None
    um2: float | None = None
    bits: int | None = None
    how: str


@dataclass(frozen=True, kw_only=True)
class Composed:
    """Area of one accelerator on one target. ``how``: how its numbers were obtained, in a sentence; ``tool``: which
    program measured.

    errors : by column, the share of the total by which it is off if every formula errs as much as it did at most on a
    run that was left out of its fit, all in one direction. unchecked : pieces whose formula nothing checks; their part
    of the error is not known and not in ``errors``. unchecked_share : of the first column.
    """

    target: str
    blocks: tuple[BlockArea, ...]
    how: str
    tool: str
    errors: Mapping[str, float]
    unchecked: tuple[str, ...]
    unchecked_share: float


@dataclass(frozen=True, kw_only=True)
class Area(Composed):
    """With the accelerator's name, and what its blocks add up to."""

    accelerator: str

    @property
    def total(self) -> BlockArea:
        return _sum("total", self.blocks, self.how)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that this target has."""
        return tuple(c for c in COLUMNS if any(getattr(block, c) is not None for block in self.blocks))


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """Where the pieces were measured. ``columns``: what every run has."""

    target: str
    tool: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Measurements(_Measured):
    """Of measured pieces, by piece and variant."""

    fits: Mapping[tuple[str, tuple[str, ...]], Fit]


@dataclass(frozen=True, kw_only=True)
class _MeasuredRun:
    """A run as it stands in the file. ``rtlil``: digest of what was synthesized."""

    piece: str
    variant: tuple[str, ...]
    sizes: Mapping[str, float]
    cost: Mapping[str, float]
    rtlil: str = ""


@dataclass(frozen=True, kw_only=True)
class _File(_Measured):
    """The file. ``library``: of a target of standard cells, what is known of it."""

    runs: tuple[_MeasuredRun, ...]
    library: str = ""


def named_targets() -> list[str]:
    """The targets whose measurements come with the project, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@lru_cache(maxsize=4096)
def area(config: AcceleratorConfig, target: str) -> Area:
    """Area of ``config`` on ``target``, from the measurements that come with the project.

    Raises ReportError when the target is unknown or a variant was never measured on it.
    """
    data = measurements(target)
    estimates = {piece.name: estimate(data, piece, config) for piece in PIECES}
    return compose(config.name, target, estimates, data.tool)


def compose(accelerator: str, target: str, estimates: Mapping[str, Estimate], tool: str) -> Area:
    """The blocks of an accelerator from the cost of each piece (of one of its copies)."""
    blocks = []
    for group in dict.fromkeys(piece.group for piece in PIECES):
        found = {piece.name: estimates[piece.name] for piece in PIECES if piece.group == group}
        parts = [
            _block(piece.name, estimates[piece.name], 1 + len(piece.copies))
            for piece in PIECES
            if piece.group == group
        ]
        blocks.append(_sum(group, parts, _how(found)))
    unchecked = tuple(n for n, e in estimates.items() if e.kind != "measured" and e.error is None)
    return Area(
        accelerator=accelerator,
        target=target,
        blocks=tuple(blocks),
        how=_how(estimates),
        tool=tool,
        errors=_errors(estimates),
        unchecked=unchecked,
        unchecked_share=_share(estimates, unchecked),
    )


def _share(estimates: Mapping[str, Estimate], names: Iterable[str]) -> float:
    """Of some pieces in the first column that there is."""
    column = next(c for c in COLUMNS if any(c in e.cost for e in estimates.values()))
    cost = {piece.name: (1 + len(piece.copies)) * estimates[piece.name].cost[column] for piece in PIECES}
    return sum(cost[name] for name in names) / sum(cost.values())


def _errors(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """By column: what all formulas together are off by, of the total."""
    copies = {piece.name: 1 + len(piece.copies) for piece in PIECES}
    found = {}
    for c in COLUMNS:
        total = sum(copies[name] * e.cost.get(c, 0.0) for name, e in estimates.items())
        off = sum(copies[name] * e.cost.get(c, 0.0) * e.errors.get(c, 0.0) for name, e in estimates.items())
        if total:
            found[c] = off / total
    return found


def estimate(data: Measurements, piece: Piece, config: AcceleratorConfig) -> Estimate:
    """The cost of one piece (of one of its copies). Raises ReportError when its variant was never measured."""
    variant = piece.variant(config)
    fit = data.fits.get((piece.name, variant))
    if fit is None:
        known = sorted("-".join(other) for name, other in data.fits if name == piece.name)
        raise ReportError(
            f"{data.target} has no measured run of {piece.name} as {'-'.join(variant) or 'it is'}; there are runs of "
            f"{', '.join(known) or 'no variant'}; `vitreous area` measures it"
        )
    found = fit.at(piece.with_blocks(piece.sizes(config), data.target))
    return _styled(found, piece, config, data.target) if piece.styled else found


def _styled(found: Estimate, piece: Piece, config: AcceleratorConfig, target: str) -> Estimate:
    """Of a memory that was measured in block memory: the same logic around the memory that ``memory.style`` asks for.

    Raises ReportError on an FPGA that has no such memory. A macro of standard cells is the same in every style.
    """
    if target not in GEOMETRIES:
        return found
    match config.memory.style:
        case MemoryStyle.AUTO:
            return found
        case MemoryStyle.ULTRA:
            sizes = piece.sizes(config)
            units = ultra_memories(int(sizes["width"]), int(sizes["words"]), target, mask=piece.mask)
            cost = {**found.cost, "bram": 0.0, "uram": float(units)}
            return replace(found, cost=cost, kind="interpolated", errors={**found.errors, "uram": 0.0})
        case never:
            assert_never(never)


@lru_cache
def measurements(target: str) -> Measurements:
    """The measurements that come with the project. Raises ReportError when there are none of ``target``."""
    path = FOLDER / f"{target}.json"
    try:
        return read(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ReportError(
            f"No areas were measured for target {target!r}; there are those of {', '.join(named_targets())}"
        ) from None
    except ValueError as error:
        raise ReportError(f"{path.name}: {error}") from None


def read(data: Any) -> Measurements:
    """Measurements from their JSON. Raises ReportError on data of another kind."""
    check_format(data, FORMAT, "The areas have")
    try:
        file = structured(_File, data, "it")
    except ReportError as error:
        raise ReportError(f"The areas are damaged: {error}") from None
    pieces = {piece.name: piece for piece in PIECES}
    runs: dict[tuple[str, tuple[str, ...]], list[Run]] = {}
    for run in file.runs:
        lacking = [c for c in file.columns if c not in run.cost]
        if lacking:
            raise ReportError(f"The areas are damaged: a run of {run.piece} lacks {', '.join(lacking)}")
        cost = {c: float(run.cost[c]) for c in file.columns}
        flags = pieces[run.piece].flags if run.piece in pieces else ()
        sizes = {name: float(run.sizes.get(name, 0.0)) for name in dict.fromkeys((*run.sizes, *flags))}
        runs.setdefault((run.piece, run.variant), []).append(Run(sizes, cost))
    fits = {
        key: Fit(pieces[key[0]], file.target, tuple(found), file.columns)
        for key, found in runs.items()
        if key[0] in pieces
    }
    return Measurements(target=file.target, tool=file.tool, columns=file.columns, fits=fits)


def _block(name: str, estimate: Estimate, copies: int) -> BlockArea:
    values = {c: copies * estimate.cost[c] for c in COLUMNS if c in estimate.cost}
    whole: dict[str, Any] = {c: v if c == "um2" else round(v) for c, v in values.items()}
    return BlockArea(name=name, how=estimate.kind, **whole)


def _sum(name: str, blocks: Iterable[BlockArea], how: str) -> BlockArea:
    blocks = tuple(blocks)
    totals: dict[str, Any] = {}
    for c in COLUMNS:
        values = [getattr(block, c) for block in blocks if getattr(block, c) is not None]
        totals[c] = sum(values) if values else None
    return BlockArea(name=name, how=how, **totals)


def _how(estimates: Mapping[str, Estimate]) -> str:
    """In words: what is measured, and how good the formula of the rest is."""
    measured = [name for name, estimate in estimates.items() if estimate.kind == "measured"]
    if len(measured) == len(estimates):
        return (
            "measured: synthesis of each piece at these sizes, added up" if len(measured) > 1 else "measured"
        )
    modelled = {name: e for name, e in estimates.items() if e.kind != "measured"}
    words = [
        f"modelled: {len(measured)} of {len(estimates)} pieces measured at these sizes"
        if measured
        else "modelled"
    ]
    for kind in ("interpolated", "extrapolated"):
        found = {name: e for name, e in modelled.items() if e.kind == kind}
        if found:
            words.append(f"{kind} {', '.join(found)}{_trust(found)}")
    return "; ".join(words)


def _trust(estimates: Mapping[str, Estimate]) -> str:
    checked = [(e.error, name) for name, e in estimates.items() if e.error is not None]
    if not checked:
        return " (by a formula with as many terms as runs: nothing checks it)"
    worst, name = max(checked)
    where = f", of {name}" if len(estimates) > 1 else ""
    return f" (largest error of a run left out of the fit: {100 * worst:.1f} %{where})"
