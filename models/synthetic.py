"""Seeded stand-ins for what cannot be shipped: images with the spectrum of photographs, and weights that make
activations spread as in a trained network. Neither says anything about accuracy; both exercise the hardware
with realistic ranges: attention that prefers some tokens, channels of unequal size, skewed GELU inputs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vitreous.models.dataset.image_set import Normalization
from vitreous.models.loaded import LoadedModel
from vitreous.spec.images import ImageOrigin

# Amplitude falls as 1/f in photographs (power as 1/f^2): Field, "Relations between the statistics of natural
# images and the response properties of cortical cells" (1987).
SOURCE = "synthetic images with a 1/f spectrum, seeded"
CALIBRATION_IMAGES = 16
TEST_IMAGES = 8
_CALIBRATION_SEED, _TEST_SEED = 11, 12
_SHARED_BETWEEN_CHANNELS = 0.8  # colour channels of photographs are strongly correlated
_LEAST_LAYER_SCALE = 0.02  # trained gains lie between this and 1, most of them well below 1
_SHARPNESS = 2.0  # of q and of k: attention scores then have a deviation of about 2


def images(count: int, shape: tuple[int, int, int], seed: int) -> Tensor:
    """``count`` images of ``shape`` ``(C, H, W)`` with a 1/f amplitude spectrum, ``float32`` in 0..1.

    Grey levels are multiples of 1/255, as in a stored picture; mean 0.45 and deviation 0.25 before clipping.
    """
    channels, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(count, 1, height, width, generator=generator)
    own = torch.randn(count, channels, height, width, generator=generator)
    noise = math.sqrt(_SHARED_BETWEEN_CHANNELS) * shared + math.sqrt(1 - _SHARED_BETWEEN_CHANNELS) * own
    vertical = torch.fft.fftfreq(height)[:, None]
    horizontal = torch.fft.rfftfreq(width)[None, :]
    frequency = torch.sqrt(vertical**2 + horizontal**2)
    slowest = 1 / max(height, width)  # the mean (frequency 0) is weighted like the slowest wave
    spectrum = torch.fft.rfft2(noise) / frequency.clamp(min=slowest)
    field = torch.fft.irfft2(spectrum, s=(height, width))
    if height * width > 1:
        field = field - field.mean(dim=(2, 3), keepdim=True)
        field = field / field.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
    # Each picture gets a brightness of its own: without it every image would have the same mean.
    brightness = 0.45 + 0.1 * torch.randn(count, 1, 1, 1, generator=generator)
    return (brightness + 0.23 * field).clamp(0, 1).mul(255).round().div(255)


def loaded(
    module: nn.Module,
    *,
    name: str,
    shape: tuple[int, int, int],
    classes: int,
    source: str,
    normalization: Normalization,
    counts: tuple[int, int] = (CALIBRATION_IMAGES, TEST_IMAGES),
) -> LoadedModel:
    """A model without any images of its own, with images of ``shape``: so many to calibrate, and to judge it."""
    mean, std = normalization
    return LoadedModel(
        name=name,
        module=module,
        input_shape=shape,
        classes=classes,
        calibration=normalize(images(counts[0], shape, _CALIBRATION_SEED), mean, std),
        test_images=normalize(images(counts[1], shape, _TEST_SEED), mean, std),
        test_labels=None,
        mean=mean,
        std=std,
        source=source,
        calibration_source=SOURCE,
        test_source=SOURCE,
        calibration_origin=ImageOrigin.SYNTHETIC,
        test_origin=ImageOrigin.SYNTHETIC,
    )


def normalize(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """``(pixels - mean) / std`` per channel, ``[n, C, H, W]`` in 0..1."""
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def randomize(model: nn.Module, seed: int) -> None:
    """Fill every parameter of a ViT from ``seed``, in place, at the scale of a trained network.

    Matrices: normal, deviation ``0.8 / sqrt(fan in)``, times a log-normal factor for each output channel, so that
    per-channel quantization has something to do; the q and k rows are twice as large, or attention would be an
    average over all tokens. LayerNorm gains: log-normal around 0.8. Biases and LayerNorm offsets: normal, 0.1.
    Class token, registers and position embedding: normal, 0.3. Gains of layer scale: 0.02 to 1, their logarithms
    uniform.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(like: Tensor, deviation: float) -> Tensor:
        return deviation * torch.randn(like.shape, generator=generator)

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                value = 0.8 * torch.exp(normal(parameter, 0.3))
            elif name.endswith("weight"):
                fan_in = parameter[0].numel()
                spread = torch.exp(normal(parameter.flatten(1)[:, :1], 0.3))
                value = (normal(parameter.flatten(1), 0.8 / math.sqrt(fan_in)) * spread).view_as(parameter)
                if name.endswith("qkv.weight"):
                    value[: 2 * fan_in] *= _SHARPNESS
            elif name.endswith("gamma"):
                value = _LEAST_LAYER_SCALE ** torch.rand(parameter.shape, generator=generator)
            elif name.endswith("bias"):
                value = normal(parameter, 0.1)
            else:
                value = normal(parameter, 0.3)
            parameter.copy_(value)
