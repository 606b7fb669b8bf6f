from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from vitreous.models import ModelError, VisionTransformer, ViTConfig, load_checkpoint

CONFIG = ViTConfig(image_size=8, patch_size=4, in_channels=1, dim=8, depth=1, heads=2, num_classes=3)


def write(
    path: Path, change: Callable[[dict[str, Tensor]], object] = lambda tensors: None
) -> dict[str, Tensor]:
    torch.manual_seed(1)
    tensors = VisionTransformer(CONFIG).state_dict()
    change(tensors)
    save_file(tensors, path)
    return tensors


@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_a_checkpoint_comes_back(tmp_path: Path, stored: torch.dtype) -> None:
    path = tmp_path / "a.safetensors"
    written = write(path, lambda t: t.update({name: value.to(stored) for name, value in t.items()}))
    model = VisionTransformer(CONFIG)
    load_checkpoint(model, path)
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, written[name].float()), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("norm.bias"), "lacks norm.bias"),
        (lambda t: t.update({"dist_token": torch.zeros(1)}), "has dist_token, which the model does not have"),
        (
            lambda t: t.update({"pos_embed": torch.zeros(1, 9, 8)}),
            r"pos_embed has shape \(1, 9, 8\), the model needs \(1, 5, 8\)",
        ),
        (
            lambda t: t.update({"norm.bias": torch.zeros(8, dtype=torch.int8)}),
            "norm.bias is torch.int8, the model needs torch.float32",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    tmp_path: Path, change: Callable[..., object], message: str
) -> None:
    path = tmp_path / "a.safetensors"
    write(path, change)
    model = VisionTransformer(CONFIG)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError, match=message):
        load_checkpoint(model, path)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_many_missing_tensors_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path, lambda t: [t.pop(name) for name in list(t) if name.startswith("blocks.")])
    with pytest.raises(ModelError, match=r"lacks blocks.0.attn.proj.bias, .* and 8 more"):
        load_checkpoint(VisionTransformer(CONFIG), path)


@pytest.mark.parametrize("kept", [0, 5, 200, -10])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.safetensors"
    write(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match="is not a complete safetensors file"):
        load_checkpoint(VisionTransformer(CONFIG), path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere.safetensors does not exist"):
        load_checkpoint(VisionTransformer(CONFIG), tmp_path / "nowhere.safetensors")


def test_a_folder_is_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a complete safetensors file"):
        load_checkpoint(VisionTransformer(CONFIG), tmp_path)
