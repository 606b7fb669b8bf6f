"""From a recognized encoder and calibration images to all that its integer form needs: the steps of calibration."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from vitreous.quant.calibrate.calibration import Calibrated, Seen, batches, observe
from vitreous.quant.calibrate.canonical import Canonical, Channels, copied, observe_channels
from vitreous.quant.calibrate.formats import Format
from vitreous.quant.calibrate.rounding import COMPENSATED, RoundedWeight, moments, round_weight
from vitreous.quant.calibrate.saturation import Saturation
from vitreous.quant.calibrate.search import MINMAX, Choice, Fold, Plan, Search, format_of, shifts_of
from vitreous.quant.calibrate.squeeze import squeezed
from vitreous.quant.importer import float_ir as ir
from vitreous.quant.scheme import QuantScheme
from vitreous.spec.numbers import CHANNEL_SHIFT_MAX

Progress = Callable[[str, int, int], None]
_LEAST = 3
"""Images that can be parted in two."""
_TURN_GAIN = 0.5
"""Of the squared error, by which a turned stream must be better."""
_TRIAL = 8
"""About as many images of each part are enough to compare the two."""


def calibrate(
    encoder: ir.Encoder, images: Tensor, scheme: QuantScheme, progress: Progress | None = None
) -> Calibrated:
    """Bring ``encoder`` to its canonical form and find every format over ``images [n, C, H, W]``.

    ``progress("calibrate", done, total)`` is called as images are observed. Gradients should be off.
    """

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("calibrate", done, total)

    channels = observe_channels(encoder, batches(encoder, images))
    parts = split(images)
    exact, turned = _exact(encoder, channels, parts, scheme)
    # The changes before have moved no activation's input: what was seen of the channels is still true.
    some = images[:: max(1, len(images) // _TRIAL)]
    made, counts = squeezed(
        exact,
        channels,
        lambda: batches(exact, some),
        symmetric=scheme.symmetric_activations,
        choose=scheme.observer == "output",
    )
    saturation = Saturation.of(made)
    seen = observe(made, parts, scheme, saturation, report)
    notes: dict[str, Any] = {"observer": scheme.observer, "turned_stream": turned, "squeezed": counts}
    search, plan, inputs = _searched(made, seen, parts, scheme, notes)
    formats = _formats(made, seen["all"], plan)
    weights = _weights(made, formats, plan, scheme, inputs)
    return Calibrated(
        encoder=made,
        exact=exact,
        seen=seen["all"],
        held=parts["held"],
        formats=formats,
        weights=weights,
        saturation=saturation,
        squeezed=_scaled(made, counts),
        losses=search.losses(formats, weights),
        notes=notes,
    )


def _exact(
    encoder: ir.Encoder, channels: dict[int, Channels], parts: dict[str, Tensor], scheme: QuantScheme
) -> tuple[ir.Encoder, bool]:
    """The canonical form, and whether its stream is turned."""
    exact = _canonical(encoder, channels, turned=False)
    assert exact is not None
    turned = _turned(exact, encoder, channels, parts, scheme) if scheme.observer == "output" else None
    return turned or exact, turned is not None


def _searched(
    made: ir.Encoder,
    seen: dict[str, Seen],
    parts: dict[str, Tensor],
    scheme: QuantScheme,
    notes: dict[str, Any],
) -> tuple[Search, Plan | None, dict[int, Tensor]]:
    """The search on both parts of the images, what it chose, and the moments of the layers' inputs that weights are
    rounded with; of observers that do not ask for the output no choice and no moments. ``notes`` get its errors."""
    if scheme.observer != "output":
        return Search(made, [Fold(parts["held"], seen["fit"])]), None, {}

    @cache
    def over(name: str) -> dict[int, Tensor]:
        return moments(made, batches(made, parts[name]), len(parts[name]))

    turns = [("fit", "held"), ("held", "fit")] if parts["fit"] is not parts["held"] else [("fit", "held")]
    folds = [Fold(parts[held], seen[fit], partial(over, fit)) for fit, held in turns]
    search = Search(made, folds)
    plan = search.run()
    notes |= {
        "held_images": search.images,
        "error": search.error(plan) ** 0.5,
        "error_minmax": search.error(search.minmax()) ** 0.5,
    }
    if not any(choice.method == COMPENSATED for choice in plan.values()):
        return search, plan, {}
    inputs = over("fit")
    for fit, _ in turns[1:]:
        for serial, more in over(fit).items():
            inputs[serial].add_(more)
    return search, plan, inputs


def _scaled(encoder: ir.Encoder, squeezed: dict[str, int]) -> frozenset[int]:
    """Of the activations ``squeezed`` by name: they and the layers before them."""
    found = [source for source in encoder.each(ir.Activation) if encoder.name(source) in squeezed]
    return frozenset(serial for source in found for serial in (source.serial, source.input.serial))


def split(images: Tensor) -> dict[str, Tensor]:
    """``fit`` and ``held`` images, every other one; with fewer than three both are all of them."""
    if len(images) < _LEAST:
        return {"fit": images, "held": images}
    return {"fit": images[::2], "held": images[1::2]}


def _canonical(encoder: ir.Encoder, channels: dict[int, Channels], *, turned: bool) -> ir.Encoder | None:
    made = Canonical(copied(encoder), channels)
    made.centre_and_balance()
    made.centre_stream()
    if turned and not made.rotate_stream():
        return None
    return made.encoder


def _turned(
    plain: ir.Encoder,
    encoder: ir.Encoder,
    channels: dict[int, Channels],
    parts: dict[str, Tensor],
    scheme: QuantScheme,
) -> ir.Encoder | None:
    """``plain`` with the stream turned, where that is clearly better at the best shift for all norms."""
    turned = _canonical(encoder, channels, turned=True)
    if turned is None:
        return None
    some = {name: images[:: max(1, len(images) // _TRIAL)] for name, images in parts.items()}
    errors = []
    for each in (plain, turned):
        seen = observe(each, {"fit": some["fit"]}, scheme, Saturation.of(each))
        errors.append(_with_shifts(Search(each, [Fold(some["held"], seen["fit"])])))
    return turned if errors[1] < (1 - _TURN_GAIN) * errors[0] else None


def _with_shifts(search: Search) -> float:
    """The squared error with everything rounded, at the best shift for all norms."""
    norms = [source.serial for source in search.encoder.each(ir.Norm)]
    plan = search.minmax()
    shifts = range(CHANNEL_SHIFT_MAX + 1)
    return min(search.error({**plan, **dict.fromkeys(norms, Choice(shift=bits))}) for bits in shifts)


def _formats(encoder: ir.Encoder, seen: Seen, plan: Plan | None) -> dict[int, Format]:
    """Of int8 tensors their formats: by ``plan``, or as the scheme's observer says, whose are ``seen``."""
    formats: dict[int, Format] = {}
    for source in encoder.sources:
        observer = seen.observers.get(source.serial)
        if observer is not None and observer.dtype == torch.int8:
            if plan is None:
                formats[source.serial] = Format(*observer.interval(), observer.symmetric)
            else:
                formats[source.serial] = format_of(source, plan[source.serial], seen)
    return formats


def _weights(
    encoder: ir.Encoder,
    formats: dict[int, Format],
    plan: Plan | None,
    scheme: QuantScheme,
    inputs: dict[int, Tensor],
) -> dict[int, RoundedWeight]:
    """Of linear layers their weights as integers; ``inputs``: the moments of what they read."""
    found = {}
    for line in encoder.each(ir.Linear):
        method = scheme.observer if plan is None else plan.get(~line.serial, MINMAX).method
        shifts = shifts_of(line, formats)
        found[line.serial] = round_weight(line.weight, method, shifts, inputs.get(line.input.serial))
    return found
