"""``ablate``: what an accelerator costs with each of its optimizations switched off, alone and one after another.

double buffering, fused attention : schedules of the compiler (docs/compiler.md); same hardware, same results.
single-pass softmax, low-cost GELU : other variants of the units; the model is quantized again for them.
unified compute unit : composed from two smaller accelerators (``vitreous.studies.dedicated``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitreous.errors import RunError
from vitreous.flow import comparison, pipeline, steps
from vitreous.flow import options as run_options
from vitreous.flow.accelerator import Given, load_accelerator
from vitreous.flow.display import Display, somebody_watches
from vitreous.flow.recording import versions
from vitreous.flow.run import Data, load
from vitreous.flow.workspace import Workspace
from vitreous.reports.ablation import page as ablation_page
from vitreous.reports.ablation.ablation import FILE, Ablation, AblationRow, Candidate, write
from vitreous.reports.area.area import area
from vitreous.reports.energy.energy import energy
from vitreous.reports.energy.technology import (
    DEFAULT_DRAM,
    DEFAULT_TECHNOLOGY,
    Range,
    load_dram,
    load_technology,
)
from vitreous.reports.errors import ReportError
from vitreous.reports.report import ASSUMED_CLOCK_MHZ
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig, ArrayConfig
from vitreous.spec.folders import SIMULATORS
from vitreous.spec.graph import Graph
from vitreous.spec.limits import MEMORY_LATENCY
from vitreous.studies.dedicated import Dedicated, Workbench, shape, splits, with_an_eighth
from vitreous.studies.switches import ORDER, SWITCHES, Switch

if TYPE_CHECKING:
    from vitreous.models import LoadedModel

BEATS = ("load_beats", "store_beats", "fetch_beats")
UNIFIED = "unified compute unit"
Kind = tuple[str, Callable[[ArrayConfig], list[tuple[ArrayConfig, ArrayConfig]]]]
KINDS: tuple[Kind, ...] = (("as many multipliers", splits), ("an eighth more multipliers", with_an_eighth))
"""Pairs of arrays for dedicated units, by how many multipliers they have together."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an ablation is done. rtl: every accelerator that exists as RTL runs one image, too.

    clock_mhz None: the clock that a report assumes. target: of ``reports.area.area``.
    """

    technology: str = DEFAULT_TECHNOLOGY
    dram: str = DEFAULT_DRAM
    clock_mhz: float | None = None
    target: str = "xcup"
    rtl: bool = False
    checkpoint: Path | None = None
    calibration_images: int | None = None
    memory_latency: int = MEMORY_LATENCY
    memory_throughput: int = 100
    build_root: Path = SIMULATORS

    @property
    def clock(self) -> float:
        return ASSUMED_CLOCK_MHZ if self.clock_mhz is None else self.clock_mhz

    def of_a_run(self) -> run_options.Options:
        """Those of them that a run has too."""
        return run_options.Options(
            checkpoint=self.checkpoint,
            calibration_images=self.calibration_images,
            memory_latency=self.memory_latency,
            memory_throughput=self.memory_throughput,
            build_root=self.build_root,
        )

    @property
    def timing(self) -> MemoryTiming:
        return MemoryTiming(latency=self.memory_latency, throughput=self.memory_throughput)


def ablate(
    model: Any,
    accelerator: Given = "edge256",
    *,
    out: str | Path,
    data: Data | None = None,
    options: Options | None = None,
    display: Display | None = None,
) -> Ablation:
    """The table of ``model`` on ``accelerator``, also written to the folder ``out`` as JSON, CSV and a page.

    Repeated, it quantizes and simulates only what is missing or changed. Raises RunError where the accelerator lacks an
    optimization already, and the rooms' own errors, each a sentence.
    """
    options = options or Options()
    display = display or Display(quiet=not somebody_watches())
    loaded, config = prepare(model, accelerator, data or Data(), options, display)
    work = Workspace(out)
    with work.locked():
        found = _Bench(loaded, config, work, options, display).table()
        write(found, work.folder, ablation_page.page(found))
        display.line(f"  {work / FILE}, ablation.csv, ablation.html")
    return found


def prepare(
    model: Any, accelerator: Given, data: Data, options: Options, display: Display
) -> tuple[LoadedModel, AcceleratorConfig]:
    """Everything that can be refused before any work; nothing is written."""
    config = load_accelerator(accelerator)
    _check(config, options)
    return load(model, data, options.of_a_run(), display), config


def _check(config: AcceleratorConfig, options: Options) -> None:
    """Everything that would only fail after long work."""
    for switch in ORDER:
        if not switch.present(config):
            raise RunError(
                f"{config.name} has no {switch.name}, so it cannot be switched off; ablate an accelerator that has "
                "every optimization"
            )
    if options.rtl:
        steps.require_toolchain(options.build_root)
    load_technology(options.technology)
    load_dram(options.dram)
    area(config, options.target)


@dataclass(frozen=True)
class _Run:
    """One image on one accelerator; ``measured``: counters of the RTL."""

    predicted: Mapping[str, int]
    measured: Mapping[str, int] | None
    compared: int
    different: int

    @property
    def counters(self) -> Mapping[str, int]:
        return self.predicted if self.measured is None else self.measured


@dataclass
class _Bench:
    """The rows of one table; a graph for each set of units, a run for each accelerator."""

    model: LoadedModel
    config: AcceleratorConfig
    work: Workspace
    options: Options
    display: Display
    _graphs: dict[str, Graph] = field(default_factory=dict)

    def table(self) -> Ablation:
        options, config = self.options, self.config
        rows = [self._row("nothing", "", "the accelerator as it is", "baseline", True, config)]
        rows += self._dedicated(config, "alone", KINDS)
        for switch in SWITCHES:
            if switch.present(config):
                rows.append(self._switched(switch, config, "alone"))
        rows += self._cumulative()
        return Ablation(
            model=self.model.name,
            model_source=self.model.source,
            accelerator=config.name,
            config=config.as_dict(),
            technology=options.technology,
            dram=options.dram,
            clock_mhz=options.clock,
            clock_source="given" if options.clock_mhz else "assumed",
            memory_latency=options.memory_latency,
            memory_throughput=options.memory_throughput,
            target=options.target,
            rows=tuple(rows),
            versions=versions(),
        )

    def _cumulative(self) -> list[AblationRow]:
        rows, config = [], self.config
        for switch in ORDER:
            rows.append(self._switched(switch, config, "cumulative"))
            config = switch.off(config)
        return rows + self._dedicated(config, "cumulative", KINDS[:1])

    def _switched(self, switch: Switch, config: AcceleratorConfig, order: str) -> AblationRow:
        off = switch.off(config)
        same = all(
            getattr(off, part) == getattr(self.config, part) for part in ("softmax", "activation", "norm")
        )
        return self._row(switch.name, switch.change, switch.method, order, same, off)

    def _row(
        self, name: str, change: str, method: str, order: str, same_results: bool, config: AcceleratorConfig
    ) -> AblationRow:
        options = self.options
        graph = self._graph(config)
        with self.display.stage(f"{order}: {name}") as stage:
            run = self._run(graph, config)
            counters, (columns, area_how) = run.counters, _area(config, options.target)
            tables = load_technology(options.technology)
            spent = energy(counters, config, tables, dram=options.dram, clock_mhz=options.clock)
            stage.note(f"{counters['cycles']:,} cycles, {1e3 * spent.total.typical:.3g} mJ")
            return AblationRow(
                name=name,
                change=change,
                method=method,
                order=order,
                cycles=counters["cycles"],
                predicted=run.predicted["cycles"],
                cycles_how="modelled" if run.measured is None else "measured",
                latency_ms=counters["cycles"] / options.clock / 1e3,
                energy=spent.total,
                dram_bytes=_dram_bytes(counters, config),
                area=columns,
                area_how=area_how,
                same_results=same_results,
                compared=run.compared,
                different=run.different,
            )

    def _graph(self, config: AcceleratorConfig) -> Graph:
        """Quantized once for every set of softmax, activation and norm.

        Probabilities are as wide as the machine has them: their width would otherwise follow the softmax and hide what
        a variant costs.
        """
        key = f"{config.softmax.variant}-{config.activation.variant}-{config.norm.variant}"
        if key not in self._graphs:
            how = dataclasses.replace(
                self.options.of_a_run(), probability_bits=config.softmax.probability_bits
            )
            folder = Workspace(self.work / "graphs" / key)
            run = pipeline.Run(self.model, config, folder, how, self.display)
            run.carry_out(pipeline.QUANTIZE)
            self._graphs[key] = run.graph
        return self._graphs[key]

    def _run(self, graph: Graph, config: AcceleratorConfig) -> _Run:
        from vitreous.compiler import compile as compile_graph
        from vitreous.sim.cycles import predict
        from vitreous.sim.run.runtime import simulate

        program = compile_graph(graph, config)
        predicted = predict(program, config, self.options.timing).counters
        if not self.options.rtl:
            return _Run(predicted, None, 0, 0)
        image = steps.test_inputs(self.model, graph, 1)[0]
        folder = self.work / "rtl" / f"{config.digest}-{_schedule_name(config)}"
        run = simulate(
            program,
            [image],
            config,
            folder=folder,
            timing=self.options.timing,
            build_root=self.options.build_root,
            trace=False,
        ).images[0]
        (check,) = comparison.compare(graph, config, [image], [(program, [run.window])], machine=False)
        return _Run(predicted, run.counters, check.compared, check.different)

    def _dedicated(self, config: AcceleratorConfig, order: str, kinds: tuple[Kind, ...]) -> list[AblationRow]:
        """The fastest pair of each kind that there is."""
        rows = []
        bench = Workbench(self._graph(config), config, self.options.timing)
        for name, make in kinds:
            pairs = make(config.array)
            with self.display.stage(f"{order}: {UNIFIED}, {name}") as stage:
                found = bench.candidates(pairs)
                if not found:
                    stage.note("no such pair of arrays")
                    continue
                best = min(found, key=lambda made: made.cycles)
                stage.note(f"{best.cycles:,} cycles, the fewest of {len(found)}")
                bound = (bench.ideal(),) if make is splits else ()
                rows.append(self._pair(best, found, bound, name, order))
        return rows

    def _pair(
        self, best: Dedicated, found: list[Dedicated], bound: tuple[Candidate, ...], name: str, order: str
    ) -> AblationRow:
        options = self.options
        counters = dict(best.linear.prediction.counters)
        return AblationRow(
            name=UNIFIED,
            change=f"{shape(best.linear.config.array)} for linear layers, {shape(best.attention.config.array)} for "
            f"attention{', heads overlapped' if best.overlapped else ''} ({name})",
            method="two predictions, each instruction at the time of its own unit; the fastest of the candidates "
            "(vitreous.studies.dedicated)",
            order=order,
            cycles=best.cycles,
            predicted=best.cycles,
            cycles_how="modelled",
            latency_ms=best.cycles / options.clock / 1e3,
            energy=_total(best, options),
            dram_bytes=_dram_bytes(counters, best.linear.config),
            area=best.area(options.target),
            area_how="modelled: blocks of two accelerators; the linear unit without softmax and score memory",
            same_results=True,
            candidates=(*(made.candidate(options.target) for made in found), *bound),
        )


def _area(config: AcceleratorConfig, target: str) -> tuple[dict[str, float], str]:
    """Columns and how they were obtained; no columns, and why, where a variant was never measured on the target."""
    try:
        cost = area(config, target)
    except ReportError as error:
        return {}, f"unknown: {error}"
    return {column: getattr(cost.total, column) or 0 for column in cost.columns}, cost.how


def _total(best: Dedicated, options: Options) -> Range:
    return best.energy(options.technology, options.dram, options.clock)


def _dram_bytes(counters: Mapping[str, int], config: AcceleratorConfig) -> int:
    return sum(counters[name] for name in BEATS) * config.bus.beat_bytes


def _schedule_name(config: AcceleratorConfig) -> str:
    on = [name for name, value in dataclasses.asdict(config.schedule).items() if value]
    return "-".join(on) or "plain"
