"""A model with its data, as everything behind the door sees it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.export import ExportedProgram

from vitreous.models.dataset.image_set import Normalization
from vitreous.spec.images import ImageOrigin


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LoadedModel:
    """A float model and the data to calibrate and evaluate it.

    ``module`` maps ``float32 [n, C, H, W]`` to logits ``float32 [n, classes]`` and is in evaluation mode;
    ``input_shape`` is ``(C, H, W)``. ``calibration`` and ``test_images`` are normalised inputs ``[n, C, H, W]``;
    ``test_labels`` ``int64 [n]`` is ``None`` where accuracy means nothing. ``mean`` and ``std`` say, per channel, how
    pixels in 0..1 were normalised; they are 0 and 1 for data that was taken as it came. ``pixels`` is how the model
    wants pixels, where it says so, and ``crop`` how much of a picture (``dataset.pictures``).
    ``source`` tells a reader of a report where the weights come from, ``calibration_source`` and ``test_source`` whose
    images these are and how many, ``calibration_origin`` and ``test_origin`` of which kind. ``exported`` is the program
    of ``torch.export`` that ``module`` runs, where the model came as one: what is quantized then. ``left_out`` has
    the names of the operations of the user's model that come after the logits, the last one first: argmax, for example.
    """

    name: str
    module: nn.Module
    input_shape: tuple[int, int, int]
    classes: int
    calibration: Tensor
    test_images: Tensor
    test_labels: Tensor | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    calibration_source: str
    test_source: str
    calibration_origin: ImageOrigin
    test_origin: ImageOrigin
    pixels: Normalization | None = None
    crop: float = 1.0
    exported: ExportedProgram | None = None
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        labelled = "" if self.test_labels is None else ", labelled"
        return (
            f"<LoadedModel {self.name}: {shape} -> {self.classes} classes; {len(self.calibration):,} calibration "
            f"images ({self.calibration_origin}), {len(self.test_images):,} test images ({self.test_origin}{labelled})>"
        )

    @property
    def quantizable(self) -> nn.Module | ExportedProgram:
        """What the quantizer reads: the same function as ``module``."""
        return self.module if self.exported is None else self.exported
