"""``fit``: an accelerator that holds a model, and what was chosen and why."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitreous.compiler.needs import DoesNotFitError
from vitreous.compiler.planning import Task, task
from vitreous.errors import RunError
from vitreous.fitting.memories import roomy, smallest
from vitreous.fitting.rate import cycles, exact_cycles
from vitreous.fitting.shapes import shapes
from vitreous.flow.accelerator import Given, load_accelerator
from vitreous.flow.steps import one_thread
from vitreous.reports.area.area import area
from vitreous.reports.area.devices import DEVICES
from vitreous.reports.report import ASSUMED_CLOCK_MHZ
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.errors import near
from vitreous.spec.graph import Graph

if TYPE_CHECKING:
    from vitreous.models import LoadedModel

LANES, DEPTHS = (4, 8, 16, 32), (1, 2, 4, 8)
BUSES = ((256, 64), (1024, 128), (1 << 16, 256))
"""Up to so many multipliers a bus of so many bits, as the named accelerators have."""
MEMORIES = ("weight_kib", "activation_kib", "residual_kib", "parameter_entries")
"""In the order in which a rate is bought with them."""
PARTS = 16
"""Of the difference between the smallest and the roomy size, to which a size in between is found."""
DEFAULT_BASE = "edge256"
AUTO = "auto"
"""As an accelerator: the one that ``fit`` finds."""
Choice = tuple[AcceleratorConfig, float]
"""An accelerator and the images that it makes in a second by the cycle model."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """``accelerator`` holds the model. reason : why it is this one, in sentences. images_per_second : by the cycle
    model at ``clock_mhz`` where a device or a rate was asked for, else None; bound : what the array alone could make.
    """

    accelerator: AcceleratorConfig
    reason: str
    clock_mhz: float
    bound: float
    images_per_second: float | None = None


def fit(
    model: Any,
    accelerator: Given = DEFAULT_BASE,
    *,
    device: str | None = None,
    fps: float | None = None,
    clock_mhz: float = ASSUMED_CLOCK_MHZ,
) -> Fit:
    """The smallest memories that hold ``model``; with a device or a rate, the array too.

    model : whatever ``vitreous.load_model`` takes, or an integer graph. accelerator : everything that is not chosen
    here is as this one has it. device : one of ``reports.area.devices``, by the area model. fps : images a second, by
    the cycle model at ``clock_mhz``. Without both the array is the accelerator's, or where that cannot address the
    tensors the one with the fewest multipliers, not fewer than it has, that can.

    Nothing is calibrated: only shapes count. The program that stores every intermediate fits too, so that a whole run
    can compare with golden. Raises RunError where nothing meets what is asked, and the errors of
    ``load_model`` and of the importer.
    """
    base = load_accelerator(accelerator)
    if device is not None and device not in DEVICES:
        raise RunError(f"Unknown device {device!r}; known are {', '.join(DEVICES)}{near(device, DEVICES)}")
    for name, value in (("fps", fps), ("clock", clock_mhz)):
        if value is not None and not value > 0:
            raise RunError(f"{name} must be above 0, not {value:g}")
    with _uncollected():
        graph = model if isinstance(model, Graph) else shapes(_loaded(model), base)
        wanted = _Wanted(graph, dataclasses.replace(base, name="fit"), device, fps, clock_mhz)
        if device is None and fps is None:
            return wanted.smallest(base.name)
        return wanted.fastest() if fps is None else wanted.first()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection: beside torch's objects each one looks at millions, and plans make none (ViT-B/16: the
    search takes 2.5 s of a processor without and many times that with it)."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _loaded(model: Any) -> LoadedModel:
    from vitreous.models import load

    with one_thread():
        return load(model, shapes_only=True)


def chosen(accelerator: Given, model: Any) -> AcceleratorConfig:
    """The accelerator that is meant, where ``auto`` means what ``fit`` finds for ``model``."""
    if accelerator != AUTO:
        return load_accelerator(accelerator)
    return dataclasses.replace(fit(model).accelerator, name=AUTO)


@dataclass(frozen=True)
class _Wanted:
    """What is asked for, and the graph."""

    graph: Graph
    base: AcceleratorConfig
    device: str | None
    fps: float | None
    clock_mhz: float

    def smallest(self, name: str) -> Fit:
        """The base's array, or the next one that can address the tensors."""
        refusal: DoesNotFitError | None = None
        for config in self._arrays():
            if refusal is not None and config.array.macs_per_cycle < self.base.array.macs_per_cycle:
                continue
            try:
                found = smallest(task(self.graph, config, observe=True), self.graph.name)
            except DoesNotFitError as error:
                refusal = refusal or error
                continue
            reason = f"the smallest memories that hold {self.graph.name} with the array of {name}"
            if refusal is not None:
                short = "; ".join(map(str, refusal.shortages))
                reason = (
                    f"{name}'s array cannot hold {self.graph.name}: {short}. {_shape(config)} has the fewest "
                    "multipliers of those that can; the memories are the smallest that hold the model with it"
                )
            return self._fit(found, reason, None)
        assert refusal is not None
        raise refusal

    def first(self) -> Fit:
        """The array with the fewest multipliers that makes the rate, and memories as small as make it."""
        assert self.fps is not None
        best: Choice | None = None
        for config in self._arrays(ascending=True):
            if self._bound(config) < self.fps:
                continue
            choice = self._faster(config)
            if choice is None:
                continue
            if choice[1] >= self.fps:
                choice = self._met(self._between(choice[0], config), choice[0])
            if choice[1] >= self.fps:
                limits = f" and fits {self.device}" if self.device else ""
                reason = (
                    f"the array with the fewest multipliers that makes {self.fps:g} images a second{limits}"
                )
                return self._fit(choice[0], reason, choice[1])
            best = choice if best is None or choice[1] > best[1] else best
        raise RunError(
            f"No array makes {self.fps:g} images of {self.graph.name} a second at {self.clock_mhz:g} MHz"
            f"{f' on {self.device}' if self.device else ''}; {self._best_text(best)}"
        )

    def _between(self, wide: AcceleratorConfig, array: AcceleratorConfig) -> AcceleratorConfig:
        """``array`` with the smallest memories where these make the rate; else ``wide`` with less of one memory after
        the other, W first, as long as it does: to a sixteenth of what they differ by.
        """
        assert self.fps is not None
        small = self._choice(array, smallest)
        if small is None or small[1] >= self.fps:
            return wide if small is None else small[0]
        found, least = wide, small[0].memory
        for name in MEMORIES:
            low, high = getattr(least, name), getattr(found.memory, name)
            step = max(1, (high - low) // PARTS)
            while high - low > step:
                middle = (low + high) // 2
                if self._rate(_with_memory(found, name, middle)) >= self.fps:
                    high = middle
                else:
                    low = middle
            found = _with_memory(found, name, high)
        return found

    def _rate(self, config: AcceleratorConfig) -> float:
        """Images a second as a search sees them; 0 where ``config`` cannot hold the model, stored tensors included."""
        from vitreous.compiler import CompileError
        from vitreous.compiler.accesses import memory_words

        try:
            if not task(self.graph, config, observe=True).fits(memory_words(config)):
                return 0.0
            return self.clock_mhz * 1e6 / cycles(self.graph, config)
        except CompileError:
            return 0.0

    def _met(self, *configs: AcceleratorConfig) -> Choice:
        """The first that makes the rate with its whole program predicted, else the last."""
        assert self.fps is not None
        for config in configs:
            choice = config, self.clock_mhz * 1e6 / exact_cycles(self.graph, config)
            if choice[1] >= self.fps:
                break
        return choice

    def _best_text(self, best: Choice | None) -> str:
        if best is None:
            return "none that could be fast enough holds it"
        return f"{_shape(best[0])} makes {best[1]:.4g}"

    def fastest(self) -> Fit:
        """The array on the device that makes the most images a second."""
        best: Choice | None = None
        for config in self._arrays(ascending=False):
            if best is not None and self._bound(config) <= best[1]:
                continue
            choice = self._faster(config)
            if choice is not None and (best is None or choice[1] > best[1]):
                best = choice
        if best is None:
            raise RunError(f"No accelerator that holds {self.graph.name} fits {self.device}: {self._needs()}")
        rate = self.clock_mhz * 1e6 / exact_cycles(self.graph, best[0])
        return self._fit(best[0], f"the fastest that fits {self.device}", rate)

    def _needs(self) -> str:
        """What the smallest accelerator for the model takes, against what the device has."""
        assert self.device is not None
        resources = DEVICES[self.device].resources
        for config in self._arrays(ascending=True):
            try:
                found = smallest(task(self.graph, config, observe=True), self.graph.name)
            except DoesNotFitError:
                continue
            total = area(found, DEVICES[self.device].family).total
            taken = (
                f"{getattr(total, name) or 0:,.0f} of {has:,.0f} {name}" for name, has in resources.items()
            )
            return f"{_shape(found)} with the smallest memories takes {', '.join(taken)}"
        return "no array can address its tensors"

    def _arrays(self, *, ascending: bool | None = None) -> Iterator[AcceleratorConfig]:
        """The base with every array, by multipliers and then by lanes; None: the base's own first, then upwards."""
        found = [(lanes * lanes * depth, lanes, depth) for lanes in LANES for depth in DEPTHS]
        if ascending is None:
            yield self.base
        for macs, lanes, depth in sorted(found, reverse=ascending is False):
            array = dataclasses.replace(self.base.array, lanes=lanes, depth=depth)
            bits = next(bits for most, bits in BUSES if macs <= most)
            bus = dataclasses.replace(self.base.bus, data_bits=max(bits, self.base.bus.data_bits))
            yield dataclasses.replace(self.base, array=array, bus=bus, memory=type(self.base.memory)())

    def _faster(self, config: AcceleratorConfig) -> Choice | None:
        """With roomy memories, or with the smallest where only those fit the device."""
        return self._choice(config, roomy) or self._choice(config, smallest)

    def _choice(
        self, config: AcceleratorConfig, memories: Callable[[Task, str], AcceleratorConfig]
    ) -> Choice | None:
        """None where the array cannot hold the model or the device cannot hold the accelerator."""
        from vitreous.compiler import CompileError

        if not self._on_device(config, memories=False):
            return None
        try:
            found = memories(task(self.graph, config, observe=True), self.graph.name)
            if not self._on_device(found, memories=True):
                return None
            return found, self.clock_mhz * 1e6 / cycles(self.graph, found)
        except CompileError:
            return None

    def _on_device(self, config: AcceleratorConfig, *, memories: bool) -> bool:
        """By the area model; without memories, whether the logic alone fits."""
        if self.device is None:
            return True
        total = area(config, DEVICES[self.device].family).total
        return all(
            (getattr(total, name) or 0) <= has
            for name, has in DEVICES[self.device].resources.items()
            if memories or name not in ("bram", "uram")
        )

    def _bound(self, config: AcceleratorConfig) -> float:
        """Images a second if every multiplier worked in every cycle."""
        return config.array.macs_per_cycle * self.clock_mhz * 1e6 / max(1, self.graph.macs)

    def _fit(self, config: AcceleratorConfig, reason: str, rate: float | None) -> Fit:
        return Fit(
            accelerator=config,
            reason=reason,
            clock_mhz=self.clock_mhz,
            bound=self._bound(config),
            images_per_second=rate,
        )


def _shape(config: AcceleratorConfig) -> str:
    array = config.array
    return f"{array.lanes} x {array.lanes} lanes, {array.depth} deep,"


def _with_memory(config: AcceleratorConfig, name: str, size: int) -> AcceleratorConfig:
    changed: dict[str, Any] = {name: size}
    return dataclasses.replace(config, memory=dataclasses.replace(config.memory, **changed))
