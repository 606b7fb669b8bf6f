"""Exploration of the nonlinear functions: error by ``golden``, area by Yosys, for many settings; their Pareto front.

Errors cost milliseconds and are computed for every setting. Of each group (one structure with several widths and table
sizes) the settings that another one beats in both error and table bits are left out; of the rest, ``points`` are
synthesized, evenly over the errors. Every result is kept as it comes, and the synthesis cache makes a second run short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, assert_never

from vitreous.characterize.cost import per_lane, unit_cost
from vitreous.characterize.distributions import Shipped
from vitreous.errors import RunError
from vitreous.reports.exploration.pareto import Point, Setting, best, draw, save
from vitreous.reports.synthesis.synthesis import Family, tool
from vitreous.spec import tables
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, ArrayConfig, SoftmaxConfig
from vitreous.spec.variants import (
    ACTIVATIONS,
    ActivationFunction,
    ActivationVariant,
    SoftmaxVariant,
    in_hardware,
)

FUNCTIONS = (*map(str, ActivationFunction), "softmax", "reciprocal", "rsqrt")


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """How many LUTs a DSP, a block of memory and an UltraRAM count in an area: the ratio in which ``device`` has them;
    0 where it has none."""

    device: str
    dsp: float
    bram: float
    uram: float


EXCHANGE: Mapping[Family, Exchange] = {
    "xcup": Exchange(
        device="XCK26: 117120 LUT, 1248 DSP, 288 blocks of 18 Kbit, 64 UltraRAMs",
        dsp=117120 / 1248,
        bram=117120 / 288,
        uram=117120 / 64,
    ),
    "ecp5": Exchange(
        device="LFE5U-85: 83640 LUT4, 156 multipliers, 208 blocks",
        dsp=83640 / 156,
        bram=83640 / 208,
        uram=0.0,
    ),
    "ice40": Exchange(
        device="iCE40UP5K: 5280 LUT4, 8 multipliers, 30 blocks", dsp=5280 / 8, bram=5280 / 30, uram=0.0
    ),
}


@dataclass(frozen=True, kw_only=True)
class Candidate(Setting):
    """A setting before its area is known. parts : components that one lane of it needs, each a factory by lanes with
    the two widths from which the cost of a lane is taken (``(1, 1)``: one instance).
    """

    parts: Sequence[tuple[str, Callable[[int], Any], tuple[int, int]]]


_RANGES: Mapping[ActivationFunction, tuple[float, ...]] = {
    ActivationFunction.GELU: (3.0, 3.5, 4.0, 4.5, 5.0),
    ActivationFunction.GELU_TANH: (3.0, 3.5, 4.0, 4.5, 5.0),
    ActivationFunction.QUICK_GELU: (3.0, 4.0, 5.0, 6.0, 7.0),
    ActivationFunction.SILU: (5.0, 6.0, 8.0, 10.0, 12.0),
}


def _activation_settings(function: ActivationFunction) -> Iterator[ActivationConfig]:
    ranges = _RANGES[function]
    for interpolate in (True, False):
        for step_bits in range(2, 7):
            for limit in ranges:
                for bits in range(10, 23, 2):
                    yield ActivationConfig(
                        function=function,
                        step_bits=step_bits,
                        range=limit,
                        fraction_bits=bits,
                        interpolate=interpolate,
                    )
    for step_bits in range(2, 8):
        for limit in ranges:
            yield ActivationConfig(
                function=function,
                variant=ActivationVariant.TABLE,
                step_bits=step_bits,
                range=limit,
                fraction_bits=10 + step_bits,
            )
    for variant in in_hardware(ActivationVariant):
        swept = variant in (ActivationVariant.DELTA, ActivationVariant.TABLE)
        if function in ACTIVATIONS[variant].functions and not swept:
            yield ActivationConfig(function=function, variant=variant, fraction_bits=14)


def _activation_table_bits(config: ActivationConfig) -> int:
    """Bits of the table: each value once, also where two of them are interpolated between. Raises RunError."""
    match config.variant:
        case ActivationVariant.DELTA:
            table = tables.activation_delta(config)
        case ActivationVariant.TABLE:
            table = tables.activation_table(config)
        case variant if not ACTIVATIONS[variant].tabulated:
            return 0
        case variant:
            raise RunError(f"Nothing says how many bits the table of {variant} has")
    signed = min(table) < 0
    return len(table) * (max(max(table).bit_length(), (-min(table) - 1).bit_length()) + signed)


def _activation_label(config: ActivationConfig) -> str:
    traits = ACTIVATIONS[config.variant]
    if not traits.tabulated:
        return f"{config.variant} f{config.fraction_bits}"
    kind = f"{config.variant}, steps" if traits.interpolates and not config.interpolate else config.variant
    return f"{kind} 1/{1 << config.step_bits} to {config.range:g} f{config.fraction_bits}"


def _activation_unit(config: ActivationConfig, lanes: int) -> Any:
    from vitreous.hw.activation.activation import SmoothActivation

    return SmoothActivation(config, lanes=lanes)


def _softmax_machine(config: SoftmaxConfig, lanes: int) -> AcceleratorConfig:
    """One probability of each row a cycle."""
    return AcceleratorConfig(array=ArrayConfig(lanes=lanes, depth=1), softmax=config)


def _statistics_unit(config: SoftmaxConfig, lanes: int) -> Any:
    from vitreous.hw.softmax.softmax import SoftmaxStatistics

    return SoftmaxStatistics(_softmax_machine(config, lanes))


def _prologue_unit(config: SoftmaxConfig, lanes: int) -> Any:
    from vitreous.hw.softmax.softmax import prologue

    return prologue(_softmax_machine(config, lanes))


def activation_candidates(function: ActivationFunction, shipped: Shipped | None) -> list[Candidate]:
    """A smooth function: every setting that no other of its group beats in error and table bits."""
    from vitreous.characterize.errors import activation_error

    found: dict[str, list[Candidate]] = {}
    for config in _activation_settings(function):
        error = activation_error(config, shipped)
        traits = ACTIVATIONS[config.variant]
        stepped = traits.interpolates and not config.interpolate
        group = f"{config.variant}, no interpolation" if stepped else str(config.variant)
        names: tuple[str, ...] = ("variant", "fraction_bits")
        names += ("step_bits", "range") if traits.tabulated else ()
        names += ("interpolate",) if traits.interpolates else ()
        settings = {name: getattr(config, name) for name in names}
        found.setdefault(group, []).append(
            Candidate(
                function=function,
                group=group,
                label=_activation_label(config),
                settings=settings,
                inputs="largest over all 65536 inputs, mean over [-8, 8)",
                largest=error.largest,
                mean=error.mean["uniform"],
                table_bits=_activation_table_bits(config),
                # From 2 to 4 lanes: a memory block serves two lanes.
                parts=(("unit", partial(_activation_unit, config), (2, 4)),),
            )
        )
    chosen = (best([(c, c.table_bits, c.largest) for c in group]) for group in found.values())
    return [candidate for group in chosen for candidate in group]


def softmax_candidates(shipped: Shipped | None) -> list[Candidate]:
    """Every variant with 6 to 9 fraction bits and both precisions; one probability of a row a cycle."""
    from vitreous.characterize.errors import softmax_errors, worst

    candidates = []
    for variant in in_hardware(SoftmaxVariant):
        for fraction in range(6, 10):
            for bits in (8, 16):
                config = SoftmaxConfig(variant=variant, fraction_bits=fraction, probability_bits=bits)
                error = worst(softmax_errors(config, shipped))
                candidates.append(
                    Candidate(
                        function="softmax",
                        group=f"{variant}, {bits} bits",
                        label=f"{variant} F{fraction} p{bits}",
                        settings=asdict(config),
                        inputs="all stated distributions of scores whose rows the variant allows",
                        largest=error.largest,
                        mean=error.mean,
                        table_bits=_softmax_table_bits(config),
                        parts=(
                            ("statistics", partial(_statistics_unit, config), (4, 8)),
                            ("prologue", partial(_prologue_unit, config), (4, 8)),
                        ),
                    )
                )
    return candidates


def _softmax_table_bits(config: SoftmaxConfig) -> int:
    steps = 1 << config.fraction_bits
    match config.variant:
        case SoftmaxVariant.BASE2:
            return steps * (config.fraction_bits + 2)
        case SoftmaxVariant.ONLINE:
            return 2 * 16 * steps
        case SoftmaxVariant.IBERT | SoftmaxVariant.ITA | SoftmaxVariant.EXACT:
            return 0
        case _:
            assert_never(config.variant)


def division_candidates(function: str) -> list[Candidate]:
    """The reciprocal and the reciprocal square root as they are built: one point each."""
    from vitreous.characterize.errors import reciprocal_error, root_error
    from vitreous.hw.arith.reciprocal import Reciprocal
    from vitreous.hw.arith.rsqrt import ReciprocalRoot

    error = reciprocal_error() if function == "reciprocal" else root_error()
    unit = Reciprocal if function == "reciprocal" else ReciprocalRoot
    label = "division, 16 bits" if function == "reciprocal" else "96-entry seed, one Newton step"
    return [
        Candidate(
            function=function,
            group="as built",
            label=label,
            settings={},
            inputs=f"relative error; {error.what}",
            largest=max(-error.least, error.largest),
            mean=error.mean,
            table_bits=0 if function == "reciprocal" else 16 * len(tables.rsqrt_seed()),
            parts=(("unit", lambda _: unit(), (1, 1)),),
        )
    ]


def candidates(function: str, shipped: Shipped | None) -> list[Candidate]:
    """All settings of a function of ``FUNCTIONS`` that are worth a synthesis."""
    if function in list(ActivationFunction):
        return activation_candidates(ActivationFunction(function), shipped)
    if function == "softmax":
        return softmax_candidates(shipped)
    return division_candidates(function)


def checked(functions: Sequence[str], family: str) -> tuple[list[str], Family]:
    """The functions, each once, and the family. Raises RunError on an unknown one."""
    for function in functions:
        if function not in FUNCTIONS:
            raise RunError(f"Function must be one of {', '.join(FUNCTIONS)}, not {function!r}")
    known = next((name for name in EXCHANGE if name == family), None)
    if known is None:
        raise RunError(f"Family must be one of {', '.join(EXCHANGE)}, not {family!r}")
    return list(dict.fromkeys(functions)), known


def thinned(found: Sequence[Candidate], points: int) -> list[Candidate]:
    """At most ``points`` of them: evenly over each group ordered by error, every group with at least one."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in sorted(found, key=lambda c: c.largest):
        groups.setdefault(candidate.group, []).append(candidate)
    if points < len(groups):
        raise RunError(f"--points must be at least {len(groups)}, one for each structure, not {points}")
    share = dict.fromkeys(groups, 0)
    for _ in range(min(points, len(found))):
        open_ones = [g for g in groups if share[g] < len(groups[g])]
        share[min(open_ones, key=lambda g: (share[g] / len(groups[g]), share[g]))] += 1
    chosen = []
    for name, members in groups.items():
        last, count = len(members) - 1, share[name]
        chosen += [members[round(i * last / max(1, count - 1))] for i in range(count)]
    return chosen


def measured(candidate: Candidate, family: Family, cache: Path) -> Point:
    """The candidate with its area. Raises ReportError when Yosys fails."""
    total = dict.fromkeys(("lut", "ff", "dsp", "bram"), 0.0)
    depth = 0
    for name, factory, widths in candidate.parts:
        cost = _cost(factory, f"{candidate.function}_{name}", family, widths, cache)
        depth = max(depth, cost[1])
        for column in total:
            total[column] += cost[0][column]
    weights = EXCHANGE[family]
    area = total["lut"] + weights.dsp * total["dsp"] + weights.bram * total["bram"]
    values: dict[str, Any] = {k: v for k, v in vars(candidate).items() if k != "parts"} | total
    return Point(**values, depth=depth, area=area)


def _cost(
    factory: Callable[[int], Any], name: str, family: Family, widths: tuple[int, int], cache: Path
) -> tuple[Mapping[str, float], int]:
    if widths[0] == widths[1]:
        alone = unit_cost(lambda: factory(widths[0]), name, family, cache=cache)
        return {c: float(getattr(alone, c)) for c in ("lut", "ff", "dsp", "bram")}, alone.depth
    cost = per_lane(factory, name, family, lanes=widths, cache=cache)
    return cost.lane, cost.depth


def with_front(points: Sequence[Point]) -> list[Point]:
    """The same points, those on the Pareto front of area and largest error marked; ordered by area."""
    front = {id(p) for p in best([(p, p.area, p.largest) for p in points])}
    return [replace(p, front=id(p) in front) for p in sorted(points, key=lambda p: (p.area, p.largest))]


def explore(
    function: str,
    folder: Path,
    *,
    family: Family,
    points: int,
    cache: Path,
    shipped: Shipped | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Point]:
    """Sweep one function and write ``function.json``, ``.csv``, ``.svg`` and ``.png`` to ``folder``.

    The files are written after every point, so that an interrupted sweep leaves what it has. Returns the points.
    """
    from vitreous.flow.steps import one_thread

    if progress:
        progress(f"{function}: errors", 0, 0)
    with one_thread():
        chosen = thinned(candidates(function, shipped), points)
    found: list[Point] = []
    for index, candidate in enumerate(chosen):
        if progress:
            progress(candidate.label, index, len(chosen))
        found.append(measured(candidate, family, cache))
        write(function, found, folder, family)
    if progress:
        progress("done", len(chosen), len(chosen))
    return write(function, found, folder, family)


def write(function: str, found: Sequence[Point], folder: Path, family: Family) -> list[Point]:
    """The files of one function, each whole or not at all."""
    points = with_front(found)
    weights = EXCHANGE[family]
    area = f"LUT + {weights.dsp:.0f} DSP + {weights.bram:.0f} BRAM, one lane ({family})"
    about = {"function": function, "family": family, "tool": tool(), "area": area, "weights": asdict(weights)}
    save(points, folder, function, about)
    for suffix in ("svg", "png"):
        draw(points, folder / f"{function}.{suffix}", title=f"{function}, {family}, {tool()}", area=area)
    return points
