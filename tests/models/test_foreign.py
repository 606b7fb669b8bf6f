from pathlib import Path

import pytest
import torch

from vitreous.flow import steps
from vitreous.models import ModelError, VisionTransformer, ViTConfig, load
from vitreous.quant import quantize
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.images import ImageOrigin

CONFIG = ViTConfig(image_size=(8, 12), patch_size=4, in_channels=2, dim=8, depth=1, heads=2, num_classes=3)

FACTORIES = """
import torch
from torch import nn
from vitreous.models import VisionTransformer, ViTConfig

CONFIG = ViTConfig(image_size=(8, 12), patch_size=4, in_channels=2, dim=8, depth=1, heads=2, num_classes=3)
images = torch.randn(6, 2, 8, 12)

def plain():
    return VisionTransformer(CONFIG)
def bare():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
def bare_with_images():
    return bare(), images
def full():
    return plain(), images, images[:3], torch.tensor([0, 1, 2])
def timm_like():
    model = bare()
    model.pretrained_cfg = {"input_size": (3, 5, 7), "mean": (0.1, 0.2, 0.3), "std": (1.0, 2.0, 3.0)}
    return model
def odd_shape():
    model = bare()
    model.input_shape = (3, 4)
    return model
def number():
    return 7
def conflict():
    return plain(), torch.zeros(1, 2, 8, 8)
def integers():
    return plain(), torch.zeros(1, 2, 8, 12, dtype=torch.uint8)
def exported():
    return torch.export.export(plain().eval(), (images[:1],)).module(), images
def exported_dynamic():
    shapes = {"images": {0: torch.export.Dim("batch", max=4)}}
    return torch.export.export(plain().eval(), (images[:2],), dynamic_shapes=shapes).module()
def exported_for_two():
    return torch.export.export(plain().eval(), (images[:2],)).module()
def few_labels():
    return plain(), images, images, torch.zeros(2)
def different_tests():
    return plain(), images, torch.zeros(1, 1, 8, 12), None
def failing():
    raise ValueError("no weights here")
answer = 42
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module of the user's own in the current folder, under a name that no other test has imported."""
    name = f"user_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_model_of_ours_gets_synthetic_images(spec: str) -> None:
    model = load(f"{spec}:plain")
    assert model.input_shape == (2, 8, 12)
    assert model.calibration.shape[1:] == (2, 8, 12)
    assert not model.module.training
    assert model.test_labels is None
    assert (model.mean, model.std) == ((0.5, 0.5), (0.5, 0.5))
    assert model.calibration_origin == model.test_origin == ImageOrigin.SYNTHETIC
    assert model.classes == 3
    assert model.calibration.min() >= -1
    assert model.calibration.max() <= 1


def test_the_users_images_are_taken_as_they_are(spec: str) -> None:
    model = load(f"{spec}:bare_with_images")
    assert model.input_shape == (2, 8, 12)
    assert model.calibration.shape == (6, 2, 8, 12)
    assert (model.mean, model.std) == ((0.0, 0.0), (1.0, 1.0))
    assert torch.equal(model.test_images, model.calibration)
    assert (model.calibration_origin, model.test_origin) == (ImageOrigin.GIVEN, ImageOrigin.CALIBRATION)


def test_the_users_test_set_is_taken(spec: str) -> None:
    model = load(f"{spec}:full")
    assert model.test_labels is not None
    assert model.test_labels.tolist() == [0, 1, 2]
    assert torch.equal(model.test_images, model.calibration[:3])


def test_timms_configuration_is_understood(spec: str) -> None:
    model = load(f"{spec}:timm_like")
    assert model.input_shape == (3, 5, 7)
    assert (model.mean, model.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert model.module(model.calibration).shape == (len(model.calibration), 3)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("bare", "the input shape is unknown"),
        ("odd_shape", r"input shape \(3, 4\) is not \(C, H, W\)"),
        ("number", "must be or return a module, .*, not int"),
        ("conflict", r"calibration images are \[2, 8, 8\], the model takes \[2, 8, 12\]"),
        ("integers", "are pixels .uint8., and the model does not say how it normalises them"),
        ("exported_for_two", "exported for 2 images at once"),
        ("few_labels", r"test images: one label for each image is needed, \[6\], not \[2\]"),
        ("different_tests", r"test images are \[1, 8, 12\], the model takes \[2, 8, 12\]"),
        ("failing", "failed: ValueError: no weights here"),
        ("answer", "has no function answer"),
        ("missing", "has no function missing"),
    ],
)
def test_what_a_factory_may_not_do(spec: str, factory: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(f"{spec}:{factory}")


def test_a_module_that_does_not_exist_is_named(spec: str) -> None:
    with pytest.raises(
        ModelError, match=r"cannot import no_such_place for no_such_place:make: ModuleNotFoundError"
    ):
        load("no_such_place:make")
    with pytest.raises(ModelError, match=r"':make' is not of the form package.module:factory"):
        load(":make")


def export(path: Path, batch: int, dynamic: bool = False) -> VisionTransformer:
    torch.manual_seed(2)
    model = VisionTransformer(CONFIG).eval()
    shapes = {"images": {0: torch.export.Dim("batch", max=64)}} if dynamic else None
    example = (torch.zeros(batch, *model.input_shape),)
    torch.export.save(torch.export.export(model, example, dynamic_shapes=shapes), path)
    return model


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_exported_program_computes_the_same(tmp_path: Path, dynamic: bool) -> None:
    original = export(tmp_path / "a.pt2", 2 if dynamic else 1, dynamic)
    model = load(str(tmp_path / "a.pt2"))
    assert model.input_shape == (2, 8, 12)
    with torch.inference_mode():
        for images in (model.test_images[:1], model.test_images.repeat(9, 1, 1, 1)):  # 72, above the bound
            torch.testing.assert_close(model.module(images), original(images))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.slow
def test_an_exported_program_is_quantized(tmp_path: Path, dynamic: bool) -> None:
    original = export(tmp_path / "a.pt2", 2 if dynamic else 1, dynamic)
    model = load(str(tmp_path / "a.pt2"))
    graph = steps.quantize(model, AcceleratorConfig())
    expected = quantize(original, model.calibration, name=model.name)
    for one, two in zip(graph.nodes, expected.nodes, strict=True):
        assert (one.op, one.attributes, one.layer) == (two.op, two.attributes, two.layer)


@pytest.mark.slow
@pytest.mark.parametrize("factory", [pytest.param("exported", marks=pytest.mark.slow), "exported_dynamic"])
def test_a_factory_may_return_an_exported_programs_module(spec: str, factory: str, tmp_path: Path) -> None:
    model = load(f"{spec}:{factory}")
    assert model.input_shape == (2, 8, 12)
    assert model.module(model.test_images).shape == (len(model.test_images), 3)
    assert "blocks.0.mlp.fc1" in {node.layer for node in steps.quantize(model, AcceleratorConfig()).nodes}
    with pytest.raises(ModelError, match="is an exported program with its own weights"):
        load(f"{spec}:{factory}", checkpoint=tmp_path / "x.safetensors")


def test_an_exported_program_must_fit(tmp_path: Path) -> None:
    export(tmp_path / "batch.pt2", 4)
    with pytest.raises(ModelError, match="was exported for 4 images at once"):
        load(str(tmp_path / "batch.pt2"))
    linear = torch.nn.Linear(3, 3)
    torch.export.save(torch.export.export(linear, (torch.zeros(1, 3),)), tmp_path / "linear.pt2")
    with pytest.raises(ModelError, match=r"takes inputs \[1, 3\]; one of \[n, C, H, W\] is needed"):
        load(str(tmp_path / "linear.pt2"))
    with pytest.raises(ModelError, match="is an exported program with its own weights"):
        load(str(tmp_path / "batch.pt2"), checkpoint="x.safetensors")


def test_a_damaged_or_missing_exported_program_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.pt2"
    with pytest.raises(ModelError, match=r"a.pt2 does not exist"):
        load(str(path))
    export(path, 1)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelError, match="cannot be read as an exported program"):
        load(str(path))
    assert capfd.readouterr() == ("", ""), "torch talks beside the error"
