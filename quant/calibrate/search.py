"""Ranges chosen by what they do to the network's output, on calibration images that they were not found on.

Images are in two halves: choices with ranges from the one are judged on the other, and the other way round.

A tensor's own squared error says little: a few large values may carry a network, or be noise. So every choice is tried
in floats, alone, with everything else exact, and the logits are compared with the float network's:

1. by kind: all norms, all q, all contexts ... take the same choice together (a few runs of the network in all), then
   all weights: two ways of finding steps, or rounding with compensation (``rounding``);
2. tensor by tensor, where the whole network is cheap enough, those first that cost the output most.

A choice other than min-max is taken only where it lowers the squared error by ``GAIN`` at least; and where all choices
together do not lower it, min-max is taken everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from vitreous.quant.calibrate.calibration import Seen, batches
from vitreous.quant.calibrate.formats import Format, channel_shifts
from vitreous.quant.calibrate.forward import Forward, Live
from vitreous.quant.calibrate.rounding import COMPENSATED, RoundedWeight, round_weight
from vitreous.quant.importer import float_ir as ir
from vitreous.spec.numbers import CHANNEL_SHIFT_MAX

GAIN = 0.1
"""Of the squared error, by which a choice must be better than the one that it replaces."""
_STAGE = 3e11
"""Multiply-accumulates that each of the two steps may cost: some ten seconds on a core."""
_LEAST_IMAGES = 2
"""Of a fold."""
_MOST_IMAGES = 32
"""Of all folds."""
_WORTH = 0.005
"""Of all tensors' squared errors: a tensor below it is not looked at alone."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a tensor's format is found: a method of the observers, its range times ``factor``.

    shift : of norms, by which channels may be shifted. margin : what a shifted channel covers, over the largest value
    that calibration saw in it.
    """

    method: str = "minmax"
    factor: float = 1.0
    shift: int = 0
    margin: float = 2.0


MINMAX = Choice()
_RANGES = (MINMAX, *(Choice(factor=f) for f in (1.25, 0.85, 0.7, 0.5)), Choice(method="mse"))
_SHIFTS = (
    *(Choice(shift=bits) for bits in range(1, CHANNEL_SHIFT_MAX + 1)),
    *(Choice(factor=f, shift=CHANNEL_SHIFT_MAX) for f in (0.7, 0.5)),
    *(Choice(shift=CHANNEL_SHIFT_MAX, margin=m) for m in (1.4, 1.0)),
    *(Choice(factor=1.25, shift=CHANNEL_SHIFT_MAX, margin=m) for m in (1.4, 1.0)),
)
_WEIGHTS = (MINMAX, Choice(method="mse"), Choice(method=COMPENSATED))


def format_of(source: ir.Source, choice: Choice, seen: Seen) -> Format:
    """The format that ``choice`` gives with what was ``seen``."""
    observer = seen.observers[source.serial]
    low, high = observer.interval_by(choice.method)
    low, high = low * choice.factor / 2**choice.shift, high * choice.factor / 2**choice.shift
    if not choice.shift:
        return Format(low, high, observer.symmetric)
    shifts = channel_shifts(seen.reach[source.serial], high, choice.margin, choice.shift)
    return Format(low, high, observer.symmetric, shifts)


Plan = dict[int, Choice]
"""By serial: of int8 tensors their format's choice, of linear layers that of their weights."""
Formats = Mapping[int, Format]
Weights = Mapping[int, Tensor]


@dataclass(frozen=True, eq=False)
class Fold:
    """``held`` images ``[n, C, H, W]`` that judge choices, and what was ``seen`` of others, which formats come from.

    moments : gives those of linear layers' inputs over the others, by the input's serial, where somebody asks for them;
    without it weights cannot be compensated.
    """

    held: Tensor
    seen: Seen
    moments: Callable[[], Mapping[int, Tensor]] | None = None


class Search:
    """Tries choices for ``encoder`` on the held images of ``folds``, each with formats of its own; on some images of
    the first alone where more would take too long.

    shifts : whether the channels of norms may have shifts.
    """

    def __init__(self, encoder: ir.Encoder, folds: Sequence[Fold], *, shifts: bool = True) -> None:
        self.encoder, self.shifting = encoder, shifts
        self._rounded: dict[tuple[int, int, Choice | None], RoundedWeight] = {}
        self.forward = Forward(encoder)
        self.index = {source.serial: number for number, source in enumerate(encoder.sources)}
        self.by_serial = {source.serial: source for source in encoder.sources}
        # q, k and v are tensors and, as linear layers, weights: weights have the complement of their serial.
        operands = {part.serial for source in encoder.each(ir.Attention) for part in source.inputs}
        kinds = ir.Image | ir.Norm | ir.Activation | ir.Attention
        self.tensors = [s for s in encoder.sources if isinstance(s, kinds) or s.serial in operands]
        self.linears = list(encoder.each(ir.Linear))
        self.costs = [_macs(source) for source in encoder.sources]
        passes = sum(len(self.candidates(group[0])) for group in self._groups()) + len(_WEIGHTS)
        most = min(_MOST_IMAGES, int(_STAGE / (passes * sum(self.costs))))
        self.folds = folds if most >= _LEAST_IMAGES * len(folds) else folds[:1]
        most = max(_LEAST_IMAGES, most // len(self.folds))
        held = [_spread(fold.held, most) for fold in self.folds]
        self.images = sum(map(len, held))
        self._parts = [(number, part) for number, some in enumerate(held) for part in batches(encoder, some)]
        self._logits = [self.forward(images) for _, images in self._parts]
        self._live: list[Live] = [{} for _ in self._parts]
        self._at = 0

    def candidates(self, source: ir.Source) -> tuple[Choice, ...]:
        """What may be chosen for an int8 tensor; the first is min-max."""
        return (*_RANGES, *_SHIFTS) if isinstance(source, ir.Norm) and self.shifting else _RANGES

    def minmax(self) -> Plan:
        """Min-max everywhere."""
        return {s.serial: MINMAX for s in self.tensors} | {~s.serial: MINMAX for s in self.linears}

    def run(self) -> Plan:
        """The chosen plan."""
        plan = self.minmax()
        for group in self._groups():
            self._choose(plan, group, self.candidates(group[0]))
        self._choose_weights(plan, self.linears)
        self._refine(plan)
        if self.error(plan) >= self.error(self.minmax()):
            return self.minmax()
        return plan

    def error(self, plan: Plan) -> float:
        """The squared error of the logits over their squared size with all of ``plan``."""
        return self._effect(plan, [s.serial for s in self.tensors], self.linears)

    def losses(self, formats: Mapping[int, Format], weights: Mapping[int, RoundedWeight]) -> dict[str, float]:
        """The output's relative error by what alone is rounded: each tensor and all weights, or kinds of tensors.

        ``formats`` of tensors and ``weights`` by serial. Kinds where a network is too large to be run for each tensor.
        """
        name = self.encoder.name
        rounded = {
            line.serial: weights[line.serial].values(shifts_of(line, formats)).float()
            for line in self.linears
        }
        groups = {name(source): [source] for source in self.tensors}
        if sum(map(self._cost, self.tensors)) * self.images > _STAGE:
            groups = {f"all {name(group[0]).rpartition('.')[2]}": group for group in self._groups()}
        found = {
            label: self.effect({source.serial: formats[source.serial] for source in group}, {})
            for label, group in groups.items()
        }
        return {
            label: error**0.5 for label, error in {**found, "all weights": self.effect({}, rounded)}.items()
        }

    def _groups(self) -> list[list[ir.Source]]:
        roles = {
            part.serial: role
            for attention in self.encoder.each(ir.Attention)
            for part, role in zip(attention.inputs, "qkv", strict=True)
        }
        found: dict[str, list[ir.Source]] = {}
        for source in self.tensors:
            found.setdefault(roles.get(source.serial, type(source).__name__), []).append(source)
        return list(found.values())

    def _choose(self, plan: Plan, group: list[ir.Source], choices: Iterable[Choice]) -> None:
        """Give all of ``group`` the best of ``choices``."""
        serials = [source.serial for source in group]
        # A norm's shifts change what its readers' weights lose; next to nothing where those are compensated.
        readers = [
            line
            for line in self.linears
            if line.input.serial in serials
            and isinstance(line.input, ir.Norm)
            and plan[~line.serial].method != COMPENSATED
        ]
        tried = {
            choice: self._effect({**plan, **dict.fromkeys(serials, choice)}, serials, readers)
            for choice in choices
        }
        plan.update(dict.fromkeys(serials, _best(tried, plan[serials[0]])))

    def _choose_weights(self, plan: Plan, linears: list[ir.Linear]) -> None:
        keys = [~line.serial for line in linears]
        possible = all(fold.moments is not None for fold in self.folds)
        choices = [c for c in _WEIGHTS if c.method != COMPENSATED or possible]
        tried = {
            choice: self._effect({**plan, **dict.fromkeys(keys, choice)}, [], linears) for choice in choices
        }
        plan.update(dict.fromkeys(keys, _best(tried, plan[keys[0]])))

    def _refine(self, plan: Plan) -> None:
        """Each tensor alone, those first that cost the output most, until the runs that the budget allows are used."""
        budget = _STAGE / self.images
        alone: dict[ir.Source, float] = {}
        for source in self.tensors:
            budget -= self._cost(source)
            if budget < 0:
                return
            alone[source] = self._effect(plan, [source.serial], [])
        worth = _WORTH * sum(alone.values())
        chosen = []
        for source in sorted(alone, key=lambda s: -alone[s]):
            budget -= self._cost(source) * len(self.candidates(source))
            if budget < 0 or alone[source] <= worth:
                break
            chosen.append(source)
        for source in sorted(chosen, key=lambda s: self.index[s.serial]):
            self._choose(plan, [source], self.candidates(source))

    def _cost(self, source: ir.Source) -> float:
        return float(sum(self.costs[self.index[source.serial] :]))

    def _effect(self, plan: Plan, tensors: list[int], linears: list[ir.Linear]) -> float:
        """Squared error of the logits over their squared size when ``tensors`` and weights are rounded by ``plan``."""
        return self._judge(
            [
                (
                    {
                        serial: format_of(self.by_serial[serial], plan[serial], fold.seen)
                        for serial in tensors
                    },
                    {line.serial: self._weight(line, plan, number).float() for line in linears},
                )
                for number, fold in enumerate(self.folds)
            ]
        )

    def effect(self, formats: Formats, weights: Weights) -> float:
        """The same with tensors in these ``formats`` and linear layers with these ``weights``, both by serial."""
        return self._judge([(formats, weights)] * len(self.folds))

    def _judge(self, tried: Sequence[tuple[Formats, Weights]]) -> float:
        """The same with formats and weights for each fold, of the same tensors and layers."""
        start = min(self.index[serial] for serial in (*tried[0][0], *tried[0][1]))
        wrong = size = 0.0
        for number, live, images, logits in self._prefixes(start):
            formats, weights = tried[number]

            def edit(source: ir.Source, value: Tensor, formats: Formats = formats) -> Tensor:
                return formats[source.serial].rounded(value) if source.serial in formats else value

            found = self.forward.rest(live, start, images, edit, weights=weights)
            wrong += float((found - logits).double().square().sum())
            size += float(logits.double().square().sum())
        return wrong / max(size, 1e-30) if wrong == wrong else float("inf")

    def _weight(self, line: ir.Linear, plan: Plan, number: int) -> Tensor:
        """The layer's weights in fold ``number``, rounded as ``plan`` says, in float64."""
        fold, method, before = self.folds[number], plan[~line.serial].method, None
        shifts = None
        if isinstance(line.input, ir.Norm):
            before = plan[line.input.serial]
            shifts = format_of(line.input, before, fold.seen).shifts
        if method != COMPENSATED:
            return round_weight(line.weight, method, shifts).values(shifts)
        key = (number, line.serial, before)
        if key not in self._rounded:
            assert fold.moments is not None
            self._rounded[key] = round_weight(line.weight, method, shifts, fold.moments()[line.input.serial])
        return self._rounded[key].values(shifts)

    def _prefixes(self, start: int) -> Iterator[tuple[int, Live, Tensor, Tensor]]:
        """For each part of the held images: its fold's number, exact values before source ``start``, the images, the
        exact logits.

        The place is remembered: tensors are tried in order.
        """
        if start < self._at:
            self._live, self._at = [{} for _ in self._parts], 0
        for live, (_, images) in zip(self._live, self._parts, strict=True):
            for index in range(self._at, start):
                live[self.encoder.sources[index].serial] = self.forward.step(live, index, images)
        self._at = start
        for live, (number, images), logits in zip(self._live, self._parts, self._logits, strict=True):
            yield number, live, images, logits


def _spread(images: Tensor, most: int) -> Tensor:
    """At most so many ``images``, evenly spread: images that follow each other are often alike."""
    count = min(len(images), most)
    return images[[number * len(images) // count for number in range(count)]]


def shifts_of(line: ir.Linear, formats: Mapping[int, Format]) -> Tensor | None:
    """The channel shifts of a layer's input, whose format is in ``formats`` where it is a norm."""
    return formats[line.input.serial].shifts if isinstance(line.input, ir.Norm) else None


def _best(tried: dict[Choice, float], now: Choice) -> Choice:
    """The choice with the least error, or ``now`` where that gains too little."""
    least = min(tried, key=lambda choice: tried[choice])
    return least if tried[least] < (1 - GAIN) * tried[now] else now


def _macs(source: ir.Source) -> int:
    if isinstance(source, ir.Linear):
        return source.tokens * source.weight.numel()
    return 2 * source.tokens**2 * source.width if isinstance(source, ir.Attention) else 0
