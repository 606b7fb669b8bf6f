"""Classifiers of Hugging Face's transformers and of timm as they come, with random weights, where these are installed.

``test_forms`` has the same forms without the libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.support.quant.zoo import randomize
from vitreous.quant import QuantScheme
from vitreous.quant.pipeline import observe

torch.set_num_threads(1)

_SIZE = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
_WIDE = {**_SIZE, "intermediate_size": 48}
_NO_BIAS = {"use_relative_position_bias": False, "use_shared_relative_position_bias": False}
TRANSFORMERS: dict[str, Callable[[Any], Any]] = {
    "ViT": lambda t: t.ViTForImageClassification(t.ViTConfig(**_WIDE)),
    "ViT, eager": lambda t: t.ViTForImageClassification(t.ViTConfig(**_WIDE, attn_implementation="eager")),
    "ViT, tanh-GELU": lambda t: t.ViTForImageClassification(t.ViTConfig(**_WIDE, hidden_act="gelu_new")),
    "ViT, quick GELU": lambda t: t.ViTForImageClassification(t.ViTConfig(**_WIDE, hidden_act="quick_gelu")),
    "DeiT": lambda t: t.DeiTForImageClassification(t.DeiTConfig(**_WIDE)),
    "DeiT, distilled": lambda t: t.DeiTForImageClassificationWithTeacher(t.DeiTConfig(**_WIDE)),
    "DINOv2, interpolated": lambda t: t.Dinov2ForImageClassification(
        t.Dinov2Config(**{**_SIZE, "image_size": 64}, mlp_ratio=2)
    ),
    "DINOv2, registers": lambda t: t.Dinov2WithRegistersForImageClassification(
        t.Dinov2WithRegistersConfig(**_SIZE, mlp_ratio=2)
    ),
    "BEiT": lambda t: t.BeitForImageClassification(t.BeitConfig(**_WIDE, **_NO_BIAS)),
}
TIMM: dict[str, tuple[str, dict[str, Any]]] = {
    "another image size": ("vit_tiny_patch16_224", {"img_size": 128}),
    "distilled": ("deit_tiny_distilled_patch16_224", {"img_size": 64}),
    "registers": ("vit_small_patch14_reg4_dinov2", {"img_size": 56, "num_classes": 5}),
    "a norm first": (
        "vit_base_patch32_clip_quickgelu_224",
        {"img_size": 64, "embed_dim": 48, "num_heads": 2},
    ),
    "a mean": ("vit_tiny_patch16_224", {"img_size": 64, "global_pool": "avg"}),
}


def check(model: Any, size: int) -> None:
    """Import refuses an encoder that does not give what the model gives."""
    randomize(model.eval(), 0)
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    encoder = observe(model, pixels, QuantScheme(observer="minmax")).encoder
    assert encoder.logits.tokens == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    check(TRANSFORMERS[name](pytest.importorskip("transformers")), 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    model, options = TIMM[name]
    check(pytest.importorskip("timm").create_model(model, depth=1, **options), options["img_size"])
