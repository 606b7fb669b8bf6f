"""The search for ranges: both halves of the images judge, and channel shifts with more and less margin."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tests.support.quant.zoo import Shape, Vit, images
from vitreous.quant import QuantScheme
from vitreous.quant.calibrate import search
from vitreous.quant.calibrate.calibration import Calibrated, Seen
from vitreous.quant.calibrate.calibration import observe as look
from vitreous.quant.calibrate.choose import split
from vitreous.quant.calibrate.rounding import moments
from vitreous.quant.calibrate.saturation import Saturation
from vitreous.quant.calibrate.search import MINMAX, Choice, Fold, Search, format_of
from vitreous.quant.importer import float_ir as ir
from vitreous.quant.pipeline import observe
from vitreous.spec.numbers import CHANNEL_SHIFT_MAX

torch.set_num_threads(1)


def halves(count: int = 7) -> tuple[Calibrated, list[Fold]]:
    """A calibrated network and two folds of its images, which judge each other's ranges."""
    shape = Shape(depth=1, dim=16, heads=2, hidden=32)
    pixels = images(shape, count)
    calibrated = observe(Vit(shape), pixels, QuantScheme(observer="mse"))
    encoder, parts = calibrated.encoder, split(pixels)
    with torch.no_grad():
        seen = look(encoder, parts, QuantScheme(), Saturation.of(encoder))
    folds = [Fold(parts["held"], seen["fit"]), Fold(parts["fit"], seen["held"])]
    return calibrated, folds


def test_every_image_judges_ranges_that_it_was_not_seen_for() -> None:
    for count in (3, 7, 16):
        pixels = torch.arange(count * 2.0).reshape(count, 1, 1, 2)
        parts = split(pixels)
        together = torch.cat(list(parts.values()))
        assert torch.equal(together[together[:, 0, 0, 0].argsort()], pixels)
        assert abs(len(parts["fit"]) - len(parts["held"])) <= 1
    assert all(len(part) == 2 for part in split(torch.zeros(2, 1, 1, 2)).values())


def test_the_error_is_that_of_both_halves() -> None:
    calibrated, folds = halves()
    with torch.no_grad():
        both = Search(calibrated.encoder, folds)
        plan = both.minmax()
        wrong = size = 0.0
        for fold in folds:
            one = Search(calibrated.encoder, [fold])
            square = float(one.forward(fold.held).double().square().sum())
            wrong, size = wrong + one.error(plan) * square, size + square
        assert both.images == 7
        assert both.error(plan) == pytest.approx(wrong / size, rel=1e-5)


def test_a_large_network_is_judged_on_a_few_images_of_one_half(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated, folds = halves()
    asked: list[int] = []

    def over(number: int) -> dict[int, torch.Tensor]:
        asked.append(number)
        others = folds[1 - number].held
        return moments(calibrated.encoder, [others], len(others))

    kept = [Fold(fold.held, fold.seen, partial(over, number)) for number, fold in enumerate(folds)]
    with torch.no_grad():
        Search(calibrated.encoder, kept).run()
        assert set(asked) == {0, 1}
        asked.clear()
        monkeypatch.setattr(search, "_STAGE", 1.0)
        few = Search(calibrated.encoder, kept)
        few.run()
        assert (few.images, len(few.folds)) == (2, 1)
        assert set(asked) == {0}, "nobody needs the moments of the other half"


def test_a_shifted_channel_covers_its_margin() -> None:
    calibrated, folds = halves()
    norm = next(calibrated.encoder.each(ir.Norm))
    observer = folds[0].seen.observers[norm.serial]
    largest = observer.interval_by("minmax")[1]
    reach = largest * torch.linspace(0.02, 1, norm.width, dtype=torch.float64)
    covered = {}
    for margin in (2.0, 1.4, 1.0):
        choice = Choice(shift=CHANNEL_SHIFT_MAX, margin=margin)
        found = format_of(norm, choice, Seen({norm.serial: observer}, {norm.serial: reach}))
        assert found.shifts is not None
        assert found.high == largest / 2**CHANNEL_SHIFT_MAX
        covered[margin] = found.high * 2.0**found.shifts
        limited, free = found.shifts == CHANNEL_SHIFT_MAX, found.shifts == 0
        assert bool(((covered[margin] >= margin * reach * (1 - 1e-9)) | limited).all())
        assert bool(((covered[margin] < 2 * margin * reach) | free).all()), "and no more than that"
    assert bool((covered[2.0] >= covered[1.4]).all())
    assert bool((covered[1.4] >= covered[1.0]).all())
    assert bool((covered[2.0] > covered[1.4]).any()), "a smaller margin makes smaller steps"
    assert bool((covered[1.4] > covered[1.0]).any())


def test_norms_are_offered_margins_and_others_are_not() -> None:
    calibrated, folds = halves()
    with torch.no_grad():
        found = Search(calibrated.encoder, folds)
        plain = Search(calibrated.encoder, folds, shifts=False)
    for source in found.tensors:
        margins = {choice.margin for choice in found.candidates(source) if choice.shift}
        assert margins == ({2.0, 1.4, 1.0} if isinstance(source, ir.Norm) else set())
        assert found.candidates(source)[0] == MINMAX
        assert not any(choice.shift for choice in plain.candidates(source))
