from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vitreous.models import ModelError, VisionTransformer, available, load, synthetic
from vitreous.models.catalog import CATALOG, DEIT_TINY, DINOV2_SMALL, FEW_IMAGES


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_every_listed_model_has_one_line() -> None:
    listed = available()
    assert [name for name, _ in listed] == list(CATALOG)
    assert all(text and "\n" not in text for _, text in listed)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in FEW_IMAGES else ()) for name, _ in available()],
)
def test_named_models_are_complete_and_run(name: str) -> None:
    model = load(name)
    assert not model.module.training
    assert model.calibration.shape[1:] == model.test_images.shape[1:] == model.input_shape
    assert model.calibration.dtype == model.test_images.dtype == torch.float32
    assert len(model.mean) == len(model.std) == model.input_shape[0]
    assert not torch.equal(model.calibration[0], model.test_images[0])
    with torch.inference_mode():
        assert model.module(model.test_images[:1]).isfinite().all()


def test_random_weights_and_images_are_seeded_and_spread_like_trained_ones() -> None:
    first, second = load("deit-tiny"), load("deit-tiny")
    for name, tensor in first.module.state_dict().items():
        assert torch.equal(tensor, second.module.state_dict()[name])
        assert tensor.std() > 0.02, name
    assert torch.equal(first.calibration, second.calibration)
    assert first.test_labels is None
    # Softmax must have something to choose: neither an average over 197 tokens nor a single one.
    maxima: list[float] = []

    def watch(module: torch.nn.Module, _: object, qkv: torch.Tensor) -> None:
        q, k, _v = qkv.reshape(1, 197, 3, 3, 64).permute(2, 0, 3, 1, 4)
        maxima.append((q @ k.transpose(-1, -2) / 8).softmax(-1).amax(-1).mean().item())

    for block in first.module.blocks:  # type: ignore[union-attr]
        block.attn.qkv.register_forward_hook(watch)  # type: ignore[union-attr]
    with torch.inference_mode():
        first.module(first.test_images[:1])
    assert len(maxima) == 12
    assert 0.05 < min(maxima) <= max(maxima) < 0.6


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in FEW_IMAGES])
def test_large_models_have_few_images_and_say_so(name: str) -> None:
    model = load(name)
    count = FEW_IMAGES[name]
    assert len(model.calibration) == len(model.test_images) == count < synthetic.TEST_IMAGES
    for source in (model.calibration_source, model.test_source):
        assert source.startswith(f"{count} synthetic images")
        assert source.endswith("few, as the model is large")
    assert dict(available())[name].endswith(f"; {count} images")


def test_gains_of_layer_scale_are_spread_like_trained_ones() -> None:
    """0.02 to 1, uniform in their logarithm."""
    model = VisionTransformer(replace(DINOV2_SMALL, image_size=112, depth=2))
    synthetic.randomize(model, 1)
    gains = torch.stack([block.ls1.gamma for block in model.blocks])  # type: ignore[union-attr]
    assert 0.02 <= gains.min() < 0.025
    assert 0.9 < gains.max() <= 1
    assert gains.log().mean().exp().item() == pytest.approx(0.02**0.5, rel=0.1)


def test_synthetic_images_have_the_spectrum_of_photographs() -> None:
    model = load("deit-tiny")
    pixels = (
        model.calibration * torch.tensor(model.std)[:, None, None] + torch.tensor(model.mean)[:, None, None]
    )
    assert pixels.min() > -1e-5
    assert pixels.max() < 1 + 1e-5
    levels = pixels * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    power = torch.fft.rfft2(pixels).abs().square().mean(dim=(0, 1))
    # 1/f in amplitude is 1/f^2 in power: four times the frequency, a sixteenth of the power.
    assert 10 < power[0, 5:9].mean() / power[0, 20:36].mean() < 26


def test_a_checkpoint_replaces_the_random_weights(tmp_path: Path) -> None:
    path = tmp_path / "deit.safetensors"
    torch.manual_seed(5)
    tensors = VisionTransformer(DEIT_TINY).state_dict()
    save_file(tensors, path)
    model = load("deit-tiny", checkpoint=path)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.module.state_dict().items())
    assert str(path) in model.source


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        ModelError, match="unknown model 'vit-giant'; known are fashion-vit, deit-tiny, deit-small"
    ):
        load("vit-giant")
