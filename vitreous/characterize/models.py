"""What a variant does to whole models: accuracy of the shipped one, and the error of one DeiT-Tiny-shaped layer.

Both run the integer graph in ``golden``; all functions but the one in question are the defaults.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vitreous import models
from vitreous.characterize.catalog import Config
from vitreous.characterize.distributions import SHIPPED_MODEL
from vitreous.flow import steps
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.digest import code_digest
from vitreous.spec.storage import write_text

LAYER_IMAGES = 2
_KEYWORDS: dict[type, str] = {SoftmaxConfig: "softmax", ActivationConfig: "activation", NormConfig: "norm"}
ACCURACY = f"integer graph of {SHIPPED_MODEL} in golden on its test images; all other units are the defaults"
LAYER = (
    "rms of the difference / rms of the update, of the residual stream after one encoder layer of DeiT-Tiny's shape "
    "(197 tokens, 192 channels, seeded weights, synthetic images), against the same integer graph with this function "
    "in float64"
)


def _words(config: Config | None) -> dict[str, Any]:
    return {} if config is None else {_KEYWORDS[type(config)]: config}


class Models:
    """Both models, calibrated once when first needed; results are kept in ``cache``."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.sources = code_digest("golden", "quant", "spec", "models")

    @cached_property
    def _shipped(self) -> tuple[Any, Any]:
        from vitreous.quant import QuantScheme
        from vitreous.quant.pipeline import observe

        model = models.load(SHIPPED_MODEL)
        with steps.one_thread():
            return model, observe(model.module, model.calibration, QuantScheme())

    @cached_property
    def _float_classes(self) -> np.ndarray:
        return np.asarray(steps.float_logits(self._shipped[0]).argmax(axis=1))

    @cached_property
    def _layer(self) -> tuple[Any, Any]:
        import torch

        from vitreous.models import synthetic
        from vitreous.models.catalog import DEIT_TINY, IMAGENET_MEAN, IMAGENET_STD
        from vitreous.models.vit import VisionTransformer, ViTConfig
        from vitreous.quant import QuantScheme
        from vitreous.quant.pipeline import observe

        shape = ViTConfig(
            image_size=224, patch_size=16, dim=DEIT_TINY.dim, depth=1, heads=DEIT_TINY.heads, num_classes=8
        )
        model = VisionTransformer(shape)
        synthetic.randomize(model, 1)
        images = synthetic.normalize(
            synthetic.images(4 + LAYER_IMAGES, (3, 224, 224), 2), IMAGENET_MEAN, IMAGENET_STD
        )
        with steps.one_thread(), torch.no_grad():
            return images[4:].numpy(), observe(model.eval(), images[:4], QuantScheme())

    def _kept(self, what: str, make: Callable[[], dict[str, float]]) -> dict[str, float]:
        name = hashlib.sha256(f"{what} {self.sources}".encode()).hexdigest()[:24]
        path = self.cache / f"model-{name}.json"
        try:
            data: dict[str, float] = json.loads(path.read_text())
        except (OSError, ValueError):
            data = make()
            write_text(path, json.dumps(data))
        return data

    def accuracy(self, config: Config | None) -> dict[str, float]:
        """``correct`` and ``same`` (class as the float model) of ``images`` test images. None: float itself."""
        return self._kept(f"accuracy {config!r}", lambda: self._accuracy(config))

    def _accuracy(self, config: Config | None) -> dict[str, float]:
        from vitreous.quant import QuantScheme
        from vitreous.quant.pipeline import lower

        model, calibrated = self._shipped
        labels = model.test_labels.numpy()
        reference = self._float_classes
        if config is None:
            found = reference
        else:
            graph = lower(calibrated, name=SHIPPED_MODEL, scheme=QuantScheme(), **_words(config))
            found = steps.integer_logits(graph, steps.inputs_of(graph, model.test_images.numpy())).argmax(
                axis=1
            )
        return {
            "images": len(labels),
            "correct": int((found == labels).sum()),
            "same": int((found == reference).sum()),
        }

    def layer_error(self, config: Config, exact: Config) -> float:
        """``LAYER``: of ``config`` against ``exact``, the same function in float64."""
        return self._kept(f"layer {config!r} {exact!r}", lambda: {"error": self._layer_error(config, exact)})[
            "error"
        ]

    def _layer_error(self, config: Config, exact: Config) -> float:
        found, before = self._stream(config)
        truth, _ = self._stream(exact)
        return float(np.sqrt(((found - truth) ** 2).mean() / ((truth - before) ** 2).mean()))

    def _stream(self, config: Config) -> tuple[np.ndarray, np.ndarray]:
        """The residual stream after and before the layer, real numbers, of all images."""
        from vitreous.golden import interpreter
        from vitreous.quant import QuantScheme
        from vitreous.quant.pipeline import lower
        from vitreous.spec.graph import Op

        images, calibrated = self._layer
        graph = lower(calibrated, name="layer", scheme=QuantScheme(), **_words(config))
        adds = [node.outputs[0] for node in graph if node.op is Op.ADD]
        after, before = [], []
        with steps.one_thread():
            for image in steps.inputs_of(graph, images):
                values = interpreter.run(graph, image, keep=True)
                # The first ADD makes the stream: patches and position; the layer's two follow.
                before.append(values[adds[-3]] * graph.tensors[adds[-3]].scale)
                after.append(values[adds[-1]] * graph.tensors[adds[-1]].scale)
        return np.stack(after), np.stack(before)
