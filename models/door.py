"""``load``: the one way to a model and its data, whatever they come as.

Everything that a user may hand over becomes a ``LoadedModel`` here, once: the module as a function from normalised
images to logits, its images checked and normalized, whose they are. Quantizer, float reference and reports see only
that, so what one of them accepts the others do too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from vitreous.models import synthetic
from vitreous.models.catalog import CATALOG
from vitreous.models.checkpoint import load_checkpoint
from vitreous.models.classifier import Classifier, classes_of, classifier, precision_note
from vitreous.models.dataset.checks import check_alike, check_classes, normalized
from vitreous.models.dataset.image_set import ImageSet, spread
from vitreous.models.dataset.read import read
from vitreous.models.errors import ModelError
from vitreous.models.foreign import Foreign, from_exported, from_factory, from_object
from vitreous.models.loaded import LoadedModel
from vitreous.models.logits import Shape
from vitreous.models.names import NAMES
from vitreous.spec.errors import near
from vitreous.spec.images import ImageOrigin

# For a user's model that comes without data: inputs in -1..1, the most common choice for ViTs.
CENTERED_MEAN, CENTERED_STD = 0.5, 0.5
CALIBRATION_LIMIT = 256
"""Images of ``calibration`` that are used where nobody says how many: more change no range that matters."""
CALIBRATION, TEST = "--calibration", "--test"

_OWN_WEIGHTS = "is an exported program with its own weights; a checkpoint cannot be loaded into it"
_ELSEWHERE = {
    ".onnx": "is an ONNX model, which is not read: save the PyTorch module by torch.export.save as .pt2",
    ".safetensors": "holds weights only: name the model, or package.module:factory, and give the file as --checkpoint",
    ".pth": "holds pickled weights, which are not read: load them in a package.module:factory that returns the module",
    ".pt": "may hold anything, and is not read: load it in a package.module:factory that returns the module",
}


def load(
    model: Any,
    *,
    checkpoint: str | Path | None = None,
    calibration: Any = None,
    test: Any = None,
    calibration_images: int | None = None,
    test_images: int | None = None,
    shapes_only: bool = False,
) -> LoadedModel:
    """The model with the data to calibrate and to judge it.

    model : a name of ``available``; ``package.module:factory`` (the current folder is searched first); a ``.pt2`` file
        of ``torch.export.save``; an ``nn.Module``; an ``ExportedProgram``; ``(module, calibration images)`` or
        ``(module, calibration images, test images, labels)``; a function without arguments that returns one of these;
        or what this function returned.
    checkpoint : a safetensors file whose tensors replace all parameters (not for exported programs).
    calibration, test : data in any form of ``dataset.read``; they take the place of what the model brought.
    calibration_images : at most so many of ``calibration`` (256 where None). test_images : so many test images (all).
    shapes_only : nothing will be calibrated or judged: one synthetic image stands for those that are missing.

    A module's images may be floats of any width, which are taken as they are, or pixels as uint8, which are normalized
    as the module says. Test images that are missing are calibration's own; calibration images that are missing are
    synthetic: ``test_origin`` and ``calibration_origin`` tell.

    Raises ``ModelError`` for a name that is unknown, a spec that cannot be imported or run, a file that is missing or
    damaged, a model whose input's shape cannot be told or that gives no logits, and data that do not fit it.
    """
    for option, count in ((CALIBRATION, calibration_images), (TEST, test_images)):
        if count is not None and count < 1:
            raise ModelError(f"{option}-images must be at least 1, not {count}")
    found = _found(model, checkpoint)
    most = (CALIBRATION_LIMIT if calibration_images is None else calibration_images, test_images)
    if isinstance(found, LoadedModel):
        wanted = _Wanted(
            calibration=calibration, test=test, most=most, shape=found.input_shape, crop=found.crop
        )
        loaded = _with_data(found, *wanted.read())
    else:
        loaded = _complete(found, _wanted(found, calibration, test, most), shapes_only)
    return loaded if test_images is None else _fewer(loaded, test_images)


def _fewer(model: LoadedModel, count: int) -> LoadedModel:
    """With ``count`` test images, also where they are the model's own. Raises ModelError where there are fewer."""
    available = len(model.test_images)
    if count > available:
        raise ModelError(f"{model.test_source}: {count} test images were asked for")
    if count == available:
        return model
    chosen = list(spread(available, count))
    return dataclasses.replace(
        model,
        test_images=model.test_images[chosen],
        test_labels=None if model.test_labels is None else model.test_labels[chosen],
        test_source=f"{model.test_source}, of these {count} evenly spread",
    )


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """Both kinds of data, and how they are read: for each at most so many images, and a name."""

    calibration: Any
    test: Any
    most: tuple[int | None, int | None]
    names: tuple[str, str] = ("", "")
    shape: Shape | None
    fit: Shape | None = None
    crop: float

    def read(self) -> tuple[ImageSet | None, ImageSet | None]:
        """Calibration first: where the model does not say its input's shape, these images do."""
        shape, found = self.shape, []
        for data, option, name, most in zip(
            (self.calibration, self.test), (CALIBRATION, TEST), self.names, self.most, strict=True
        ):
            given = None
            if data is not None:
                given = read(
                    data, option=option, name=name, shape=shape, fit=self.fit, crop=self.crop, most=most
                )
                shape = _shape_of(given.images)
            found.append(given)
        calibration, test = found
        return calibration, test


def _wanted(foreign: Foreign, calibration: Any, test: Any, most: tuple[int | None, int | None]) -> _Wanted:
    """Data that were given, else what the model brought, all of it."""
    label = foreign.label
    return _Wanted(
        calibration=foreign.calibration if calibration is None else calibration,
        test=foreign.test if test is None else test,
        most=(None if calibration is None else most[0], None if test is None else most[1]),
        names=(
            f"{label}: calibration images" if calibration is None else "",
            f"{label}: test images" if test is None else "",
        ),
        shape=foreign.declared,
        fit=foreign.usual,
        crop=foreign.crop,
    )


def _found(model: Any, checkpoint: str | Path | None) -> LoadedModel | Foreign:
    """The model by itself, with its checkpoint."""
    if isinstance(model, str | Path):
        if checkpoint is not None and Path(model).suffix == ".pt2":
            raise ModelError(f"{model} {_OWN_WEIGHTS}")
        if str(model) in CATALOG:
            return CATALOG[str(model)](str(model), checkpoint)
        foreign = _spelled(model)
    elif isinstance(model, LoadedModel):
        if checkpoint is not None:
            raise ModelError(f"{model.name} is loaded already; give the checkpoint where it is loaded")
        return model
    elif isinstance(model, nn.Module | ExportedProgram | tuple) or callable(model):
        foreign = from_object(model, _label(model))
    else:
        raise ModelError(
            "a model is a name, package.module:factory, a .pt2 file, a module, an exported program or "
            f"(module, images), not {type(model).__name__}"
        )
    if checkpoint is not None and foreign.exported is not None:
        raise ModelError(f"{foreign.label} {_OWN_WEIGHTS}")
    if checkpoint is not None:
        load_checkpoint(foreign.module, checkpoint)
    return foreign


def _spelled(model: str | Path) -> Foreign:
    """A file or ``package.module:factory``."""
    text, path = str(model), Path(model)
    if path.suffix == ".pt2":
        return from_exported(path)
    if path.suffix in _ELSEWHERE:
        raise ModelError(f"{text} {_ELSEWHERE[path.suffix]}")
    if ":" in text:
        return from_factory(text)
    raise ModelError(
        f"unknown model {text!r}; known are {', '.join(NAMES)}; or give package.module:factory or a .pt2 file"
        f"{near(text, NAMES)}"
    )


def _label(model: Any) -> str:
    """What a person calls an object: its class, or the function that makes it."""
    first = model[0] if isinstance(model, tuple) and model else model
    if isinstance(first, ExportedProgram):
        return "exported program"
    return (
        type(first).__name__
        if isinstance(first, nn.Module)
        else getattr(first, "__name__", type(first).__name__)
    )


def _shape_of(images: Tensor) -> Shape:
    _, channels, height, width = images.shape
    return channels, height, width


def _with_data(base: LoadedModel, calibration: ImageSet | None, test: ImageSet | None) -> LoadedModel:
    """``base`` with the images that were given in the place of its own."""
    if calibration is not None:
        normalization = calibration.normalization or base.pixels
        identity = ((0.0,) * base.input_shape[0], (1.0,) * base.input_shape[0])
        mean, std = normalization or identity
        base = dataclasses.replace(
            base,
            calibration=normalized(calibration.images, f"{CALIBRATION}: images", normalization),
            calibration_source=calibration.source,
            calibration_origin=ImageOrigin.GIVEN,
            mean=mean,
            std=std,
            pixels=normalization,
        )
    if test is not None:
        if test.labels is not None:
            check_classes(test.labels, base.classes, test.source, test.named)
        base = dataclasses.replace(
            base,
            test_images=normalized(test.images, f"{TEST}: images", test.normalization or base.pixels),
            test_labels=test.labels,
            test_source=test.source,
            test_origin=ImageOrigin.GIVEN,
        )
    if calibration is not None or test is not None:
        check_alike(base.calibration, base.test_images)
    return base


def _complete(foreign: Foreign, wanted: _Wanted, shapes_only: bool) -> LoadedModel:
    """A user's model as a classifier, with synthetic images in the place of those that it did not bring."""
    label = foreign.label
    calibration, test = wanted.read()
    images = calibration or test
    shape = foreign.declared or foreign.usual if images is None else _shape_of(images.images)
    if shape is None:
        raise ModelError(
            f"{label}: the input shape is unknown; give the module an attribute input_shape = (C, H, W) "
            "or give calibration images with it"
        )
    if foreign.exported is None:
        known, note = classifier(foreign.module, label, shape), precision_note(foreign.module)
    else:
        known, note = _program(foreign, shape), ""
    without = f", without its {' of '.join(known.left_out)}" if known.left_out else ""
    centred = ((CENTERED_MEAN,) * shape[0], (CENTERED_STD,) * shape[0])
    made = synthetic.loaded(
        known.module,
        name=label,
        shape=shape,
        classes=known.classes,
        source=f"model and weights from {label}{without}{f'; {note}' if note else ''}",
        normalization=foreign.normalization or centred,
        counts=(
            1 if shapes_only or calibration is not None else synthetic.CALIBRATION_IMAGES,
            1 if shapes_only or images is not None else synthetic.TEST_IMAGES,
        ),
    )
    base = dataclasses.replace(
        made,
        pixels=foreign.normalization,
        crop=foreign.crop,
        exported=known.exported,
        left_out=known.left_out,
    )
    return _own_images(_with_data(base, calibration, None), calibration, test)


def _program(foreign: Foreign, shape: Shape) -> Classifier:
    return Classifier(
        module=foreign.module,
        classes=classes_of(foreign.module, shape, foreign.label),
        exported=foreign.exported,
        left_out=foreign.left_out,
    )


def _own_images(base: LoadedModel, calibration: ImageSet | None, test: ImageSet | None) -> LoadedModel:
    """Test images: those that were given, else calibration's own, else what ``base`` has."""
    if test is not None or calibration is None:
        return _with_data(base, None, test)
    if calibration.labels is not None:
        check_classes(calibration.labels, base.classes, calibration.source, calibration.named)
    return dataclasses.replace(
        base,
        test_images=base.calibration,
        test_labels=calibration.labels,
        test_source=calibration.source,
        test_origin=ImageOrigin.CALIBRATION,
    )
