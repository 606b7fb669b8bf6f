"""Whatever a model comes as: behind the door it is one function, for the quantizer and for the float reference."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vitreous.flow import steps
from vitreous.models import LoadedModel, ModelError, VisionTransformer, ViTConfig, load
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.images import ImageOrigin

CONFIG = ViTConfig(image_size=8, patch_size=4, in_channels=1, dim=8, depth=1, heads=2, num_classes=3)
IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@dataclass
class Output:
    """As Hugging Face's ``ModelOutput``: more than logits, and what is not there is None."""

    logits: Tensor
    hidden: Tensor
    loss: None = None


class Net(VisionTransformer):
    def __init__(self) -> None:
        torch.manual_seed(3)
        super().__init__(CONFIG)
        self.eval()


class Named(Net):
    def forward(self, x: Tensor) -> Any:
        return {"hidden": x.flatten(1), "logits": super().forward(x)}


class Single(Net):
    def forward(self, x: Tensor) -> Any:
        return (super().forward(x),)


class Nested(Net):
    def forward(self, x: Tensor) -> Any:
        return {"heads": [super().forward(x)]}


class Fields(Net):
    def forward(self, x: Tensor) -> Any:
        return Output(logits=super().forward(x), hidden=x)


class Keyword(Net):
    def forward(self, *, pixel_values: Tensor, return_dict: bool = True) -> Any:
        return super().forward(pixel_values)


class Second(Net):
    def forward(self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None) -> Any:
        assert pixel_values is not None
        return super().forward(pixel_values)


class Spatial(Net):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x)[:, :, None, None]


class OwnType(Net):
    """As networks do that cast their input to the type of their weights."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x.to(self.cls_token.dtype))


FORMS: dict[str, Callable[[], Any]] = {
    "dict": Named,
    "tuple": Single,
    "nested": Nested,
    "fields": Fields,
    "keyword": Keyword,
    "second": Second,
    "spatial": Spatial,
    "training": lambda: Net().train(),
    "float64": lambda: Net().double(),
    "factory": lambda: Net,
    "exported": lambda: torch.export.export(Net(), (IMAGES[:1],)),
    "exported, dict": lambda: torch.export.export(Named(), (IMAGES[:1],)),
    "exported, keyword": lambda: torch.export.export(Keyword(), (), {"pixel_values": IMAGES[:1]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_function(form: str) -> None:
    model = load((FORMS[form](), IMAGES)) if form != "factory" else load(FORMS[form](), calibration=IMAGES)
    with torch.no_grad():
        torch.testing.assert_close(model.module(IMAGES), Net()(IMAGES))
    assert model.exported is not None or not any(part.training for part in model.module.modules())
    assert (model.classes, model.input_shape) == (3, (1, 8, 8))


@pytest.mark.slow
@pytest.mark.parametrize("form", [form for form in FORMS if form != "factory"])
def test_every_form_is_quantized_to_the_same_graph(form: str) -> None:
    expected = steps.quantize(load((Net(), IMAGES)), AcceleratorConfig())
    graph = steps.quantize(load((FORMS[form](), IMAGES)), AcceleratorConfig())
    assert [(n.op, n.layer) for n in graph.nodes] == [(n.op, n.layer) for n in expected.nodes]
    for one, two in zip(graph.nodes, expected.nodes, strict=True):
        assert one.constants.keys() == two.constants.keys()
        assert all(np.array_equal(one.constants[key], two.constants[key]) for key in one.constants)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_narrow_parameters_are_computed_in_float32(kind: torch.dtype) -> None:
    module = OwnType().to(kind)
    model = load((module, IMAGES.to(kind)))
    assert {value.dtype for value in model.module.parameters()} == {torch.float32}
    assert next(module.parameters()).dtype == kind, "the user's module was changed"
    assert f"{str(kind)[6:]} parameters computed in float32" in model.source
    torch.testing.assert_close(steps.float_logits(model), Net()(IMAGES).detach().numpy(), atol=0.1, rtol=0.1)


def test_the_users_module_stays_as_it_is() -> None:
    module = Named().train()
    load((module, IMAGES))
    assert all(part.training for part in module.modules())
    assert "forward" not in vars(module)


@pytest.mark.parametrize(
    "images",
    [
        nn.BatchNorm2d(1)(IMAGES),
        IMAGES.double(),
        IMAGES.numpy(),
        IMAGES.numpy()[:, :, ::-1],
        [(image, 0) for image in IMAGES],
        torch.utils.data.TensorDataset(IMAGES, torch.zeros(6, dtype=torch.int64)),
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(IMAGES), batch_size=4),
    ],
    ids=["gradient", "float64", "numpy", "strides", "list", "dataset", "loader"],
)
def test_images_of_every_form_are_plain_float32(images: Any) -> None:
    model = load(Net(), calibration=images)
    assert model.calibration.dtype == torch.float32
    assert not model.calibration.requires_grad
    assert model.calibration.shape == (6, 1, 8, 8)
    assert steps.model_digest(model)


def test_pixels_are_normalized_by_what_the_module_says() -> None:
    module = Net()
    pixels = torch.arange(2 * 64, dtype=torch.uint8).reshape(2, 8, 8)
    with pytest.raises(ModelError, match="are pixels .uint8., and the model does not say how it normalises"):
        load((module, pixels))
    module.input_mean, module.input_std = (0.5,), (0.25,)  # type: ignore[assignment]
    model = load((module, pixels))
    torch.testing.assert_close(model.calibration, (pixels[:, None].float() / 255 - 0.5) / 0.25)
    assert (model.mean, model.std) == ((0.5,), (0.25,))


class Two(Net):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


class Map(Net):
    def forward(self, x: Tensor) -> Any:
        return x


class NoInput(Net):
    def forward(self) -> Any:
        return None


class Broken(Net):
    def forward(self, x: Tensor, task: int) -> Any:
        return x


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Two, r"Two returns 2 floating-point tensors \(\[1, 3\], \[1, 1, 8, 8\]\); return the logits"),
        (Map, r"Map returns a tensor \[1, 1, 8, 8\]; logits \[n, classes\] are needed"),
        (NoInput, "NoInput: forward takes no images: its arguments are none"),
        (Broken, r"Broken cannot be run on images \[1, 8, 8\]: TypeError: .*'task'"),
    ],
)
def test_what_gives_no_logits_is_refused(model: type[nn.Module], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        load((model(), IMAGES))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (7, "a model is a name, package.module:factory, .* not int"),
        ("fashion-vot", "unknown model 'fashion-vot'; .*; did you mean 'fashion-vit'"),
        (Path("net.onnx"), "net.onnx is an ONNX model, which is not read: save the PyTorch module"),
        ("net.safetensors", "net.safetensors holds weights only: name the model"),
        ((Net(), IMAGES, IMAGES), "tuple|must be or return"),
    ],
)
def test_what_is_no_model_is_refused(model: Any, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        load(model)


def test_a_program_exported_in_another_type_is_refused() -> None:
    program = torch.export.export(Net().double(), (IMAGES[:1].double(),))
    with pytest.raises(ModelError, match="was exported for images of torch.float64; export the model in"):
        load((program, IMAGES))


def test_a_checkpoint_goes_into_the_module_that_was_given(tmp_path: Path) -> None:
    torch.manual_seed(9)
    other = VisionTransformer(CONFIG)
    save_file(other.state_dict(), tmp_path / "w.safetensors")
    model = load((Named(), IMAGES), checkpoint=tmp_path / "w.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(model.module(IMAGES), other.eval()(IMAGES))
    with pytest.raises(ModelError, match="is loaded already"):
        load(model, checkpoint=tmp_path / "w.safetensors")


def test_given_data_takes_the_place_of_the_models_own() -> None:
    own: LoadedModel = load((Net(), IMAGES))
    labels = torch.tensor([0, 2])
    given = load(own, test=(IMAGES[:2], labels))
    assert torch.equal(given.calibration, own.calibration)
    assert given.test_labels is not None
    assert torch.equal(given.test_labels, labels)
    assert (own.test_origin, given.test_origin) == (ImageOrigin.CALIBRATION, ImageOrigin.GIVEN)
    assert steps.model_digest(own) != steps.model_digest(given)
    assert "2 test images (given, labelled)" in repr(given)


def test_a_shape_that_the_module_only_was_made_for_gives_way_to_the_images() -> None:
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, 3)).eval()
    module.pretrained_cfg = {"input_size": (1, 16, 16)}  # type: ignore[assignment]
    assert load(module).input_shape == (1, 16, 16)
    assert load((module, IMAGES)).input_shape == (1, 8, 8)


class Classes(Net):
    """A network that returns classes: ``how`` they are chosen from its logits."""

    def __init__(self, how: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Any:
        return self.how(super().forward(x))


CHOICES: dict[str, tuple[Callable[[Tensor], Any], list[str]]] = {
    "argmax": (lambda logits: logits.argmax(-1), ["argmax"]),
    "argmax, kept": (lambda logits: logits.argmax(1, keepdim=True), ["argmax"]),
    "softmax, argmax": (lambda logits: logits.softmax(-1).argmax(dim=1), ["argmax", "softmax"]),
    "log_softmax, max": (lambda logits: logits.log_softmax(1).max(1).indices, ["max", "log_softmax"]),
    "max with its values": (lambda logits: logits.max(-1), ["max"]),
    "sigmoid, topk": (lambda logits: logits.sigmoid().topk(2).indices, ["topk", "sigmoid"]),
    "topk with its values": (lambda logits: logits.topk(2), ["topk"]),
    "the first of topk": (lambda logits: logits.topk(2).indices[:, 0], ["topk"]),
    "of 32 bits, named": (lambda logits: {"class": logits.argmax(-1).to(torch.int32)}, ["argmax"]),
}


@pytest.mark.parametrize("how", CHOICES)
def test_a_network_that_returns_classes_is_the_one_before_the_choice(how: str) -> None:
    choose, left_out = CHOICES[how]
    model = load((Classes(choose), IMAGES))
    assert list(model.left_out) == left_out
    assert model.source.endswith(f", without its {' of '.join(left_out)}")
    torch.testing.assert_close(model.module(IMAGES), Net()(IMAGES).detach())
    assert model.classes == 3


@pytest.mark.slow
@pytest.mark.parametrize("form", ["module", "exported", "keyword"])
def test_a_network_that_returns_classes_is_quantized_as_the_one_before(form: str) -> None:
    network: Any = Classes(lambda logits: logits.softmax(-1).argmax(-1))
    if form == "exported":
        network = torch.export.export(network, (IMAGES[:1],))
    if form == "keyword":
        network = type(
            "Named",
            (Classes,),
            {"forward": lambda self, *, pixel_values: Classes.forward(self, pixel_values)},
        )(network.how)
    found, expected = load((network, IMAGES)), load((Net(), IMAGES))
    graph, plain = (steps.quantize(each, AcceleratorConfig()) for each in (found, expected))
    assert [(n.op, n.layer) for n in graph.nodes] == [(n.op, n.layer) for n in plain.nodes]
    for one, two in zip(graph.nodes, plain.nodes, strict=True):
        assert all(np.array_equal(one.constants[key], two.constants[key]) for key in one.constants)
    assert [sentence.split(", ")[1] for sentence in graph.notes["left_out"]] == ["argmax", "softmax"]
    assert steps.model_digest(found)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            lambda logits: logits.argmin(-1),
            r"returns int64 \[n\] and no logits; return the logits \[n, classes\]",
        ),
        (lambda logits: logits.topk(2, largest=False).indices, r"returns int64 \[n, 2\] and no logits"),
        (lambda logits: logits.argmax(0), r"returns int64 \[3\] and no logits"),
        (lambda logits: logits.long(), r"returns int64 \[n, 3\] and no logits"),
        (lambda logits: logits.max(-1).values, r"returns a tensor \[1\]; logits"),
    ],
)
def test_what_gives_neither_logits_nor_classes_is_refused(how: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load((Classes(how), IMAGES))


def test_channels_that_come_last_are_said() -> None:
    with pytest.raises(
        ModelError, match=r"cannot be run on images \[8, 8, 1\]: .*; images are .*, channels first"
    ):
        load((nn.Conv2d(1, 3, 4), IMAGES.permute(0, 2, 3, 1)))


def test_logits_beside_their_order_are_the_logits() -> None:
    model = load((Classes(lambda logits: (logits, logits.argsort(-1))), IMAGES))
    torch.testing.assert_close(model.module(IMAGES), Net()(IMAGES).detach())
    assert model.left_out == ()


class Batches(Net):
    """As networks do that have the number of images in a view."""

    def forward(self, x: Tensor) -> Any:
        count = int(x.shape[0])
        return super().forward(x).reshape(count, -1).argmax(-1)


def test_a_network_that_returns_classes_may_ask_how_many_images_there_are() -> None:
    torch.testing.assert_close(load((Batches(), IMAGES)).module(IMAGES), Net()(IMAGES).detach())
