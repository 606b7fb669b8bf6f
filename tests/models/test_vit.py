import pytest
import torch
import torch.nn.functional as F

from vitreous.models import ModelError, VisionTransformer, ViTConfig, macs
from vitreous.models.catalog import DEIT_SMALL, DEIT_SMALL_384, DEIT_TINY, DINOV2_SMALL, VIT_BASE
from vitreous.models.fashion import CONFIG as FASHION


def small(**changes: object) -> ViTConfig:
    fields: dict[str, object] = {"image_size": (12, 20), "patch_size": 4, "in_channels": 2, "num_classes": 5}
    fields |= {"dim": 12, "depth": 2, "heads": 3}
    return ViTConfig(**(fields | changes))  # type: ignore[arg-type]


def timm_shapes(dim: int, depth: int, hidden: int, patches: int, patch_inputs: tuple[int, int, int]) -> dict:
    """What timm publishes for a ViT or DeiT: every parameter's name and shape."""
    shapes = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, patches + 1, dim),
        "patch_embed.proj.weight": (dim, *patch_inputs),
        "patch_embed.proj.bias": (dim,),
        "norm.weight": (dim,),
        "norm.bias": (dim,),
        "head.weight": (1000, dim),
        "head.bias": (1000,),
    }
    linears = {
        "attn.qkv": (3 * dim, dim),
        "attn.proj": (dim, dim),
        "mlp.fc1": (hidden, dim),
        "mlp.fc2": (dim, hidden),
    }
    for block in range(depth):
        for name, shape in linears.items():
            shapes[f"blocks.{block}.{name}.weight"] = shape
            shapes[f"blocks.{block}.{name}.bias"] = shape[:1]
        for norm in ("norm1", "norm2"):
            shapes[f"blocks.{block}.{norm}.weight"] = shapes[f"blocks.{block}.{norm}.bias"] = (dim,)
    return shapes


@pytest.mark.parametrize(
    ("config", "dim", "tokens", "parameters"),
    [
        (DEIT_TINY, 192, 197, 5_717_416),
        (DEIT_SMALL, 384, 197, 22_050_664),
        (DEIT_SMALL_384, 384, 577, 22_196_584),
        (VIT_BASE, 768, 197, 86_567_656),
    ],
)
def test_parameters_are_those_of_timms_models(
    config: ViTConfig, dim: int, tokens: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = VisionTransformer(config)
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert config.tokens == tokens
    assert found == timm_shapes(dim, 12, 4 * dim, tokens - 1, (3, 16, 16))
    assert sum(tensor.numel() for tensor in model.parameters()) == parameters


def test_parameters_are_those_of_timms_dinov2() -> None:
    """Published without a head: 22.06 million for ViT-S/14 with four registers, whose patches alone have positions."""
    with torch.device("meta"):
        model = VisionTransformer(DINOV2_SMALL)
    expected = timm_shapes(384, 12, 1536, 37 * 37, (3, 14, 14))
    expected |= {"pos_embed": (1, 37 * 37, 384), "reg_token": (1, 4, 384)}
    expected |= {f"blocks.{block}.ls{branch}.gamma": (384,) for block in range(12) for branch in (1, 2)}
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == expected
    assert DINOV2_SMALL.tokens == 1 + 4 + 1369
    head = sum(tensor.numel() for tensor in model.head.parameters())
    assert sum(tensor.numel() for tensor in model.parameters()) - head == 22_057_344


def test_without_class_token_the_last_norm_is_fc_norm() -> None:
    names = set(VisionTransformer(small(class_token=False)).state_dict())
    assert {"fc_norm.weight", "fc_norm.bias"} <= names
    assert not names & {"cls_token", "norm.weight", "norm.bias"}


def test_qkv_bias_can_be_left_out() -> None:
    names = set(VisionTransformer(small(qkv_bias=False)).state_dict())
    assert "blocks.0.attn.qkv.bias" not in names
    assert "blocks.0.attn.proj.bias" in names


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"class_token": False},
        {"image_size": 4},
        {"patch_size": 2, "heads": 1},
        {"activation": "silu", "norm": "rms"},
        {"registers": 2, "layer_scale": True},
        {"registers": 2, "class_token": False},
    ],
)
def test_forward_shapes(changes: dict[str, object]) -> None:
    config = small(**changes)
    model = VisionTransformer(config)
    assert model.input_shape == (2, *config.image_shape)
    assert model(torch.zeros(3, *model.input_shape)).shape == (3, 5)


def test_rms_norm_and_silu_take_the_places_of_layer_norm_and_gelu() -> None:
    model = VisionTransformer(small(activation="silu", norm="rms", depth=1))
    parts = [type(part).__name__ for part in model.modules()]
    assert (parts.count("RMSNorm"), parts.count("SiLU")) == (3, 1)
    assert not {"LayerNorm", "GELU"} & set(parts)
    assert not any(name.startswith("blocks.0.norm") and name.endswith("bias") for name in model.state_dict())
    for field in ("activation", "norm"):
        with pytest.raises(ModelError, match=f"{field} must be one of .*, not 'tanh'"):
            small(**{field: "tanh"})


def plain_forward(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """The formula once more, from the parameters alone, head by head in float64."""
    p = {name: tensor.double() for name, tensor in model.state_dict().items()}
    c = model.config
    rows, columns = (side // c.patch_size for side in c.image_shape)
    patches = images.double().reshape(-1, c.in_channels, rows, c.patch_size, columns, c.patch_size)
    patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    t = patches @ p["patch_embed.proj.weight"].flatten(1).T + p["patch_embed.proj.bias"]
    position = p["pos_embed"]
    if c.registers:
        t, position = t + position, torch.zeros(())
        t = torch.cat((p["reg_token"].expand(len(t), -1, -1), t), 1)
    if c.class_token:
        t = torch.cat((p["cls_token"].expand(len(t), 1, -1), t), 1)
    t = t + position

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * p[name + ".weight"]
            + p[name + ".bias"]
        )

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ p[name + ".weight"].T + p.get(name + ".bias", 0)

    for block in (f"blocks.{i}." for i in range(c.depth)):
        q, k, v = linear(norm(t, block + "norm1"), block + "attn.qkv").split(c.dim, -1)
        heads = []
        for h in range(c.heads):
            part = slice(h * c.head_dim, (h + 1) * c.head_dim)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / c.head_dim**0.5
            heads.append(scores.softmax(-1) @ v[..., part])
        t = t + p.get(block + "ls1.gamma", 1) * linear(torch.cat(heads, -1), block + "attn.proj")
        inner = linear(norm(t, block + "norm2"), block + "mlp.fc1")
        t = t + p.get(block + "ls2.gamma", 1) * linear(
            inner / 2 * (1 + torch.erf(inner / 2**0.5)), block + "mlp.fc2"
        )
    pooled = norm(t, "norm")[:, 0] if c.class_token else norm(t[:, c.registers :].mean(1), "fc_norm")
    return linear(pooled, "head")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"class_token": False},
        {"qkv_bias": False, "mlp_ratio": 2.5},
        {"registers": 3, "layer_scale": True},
        {"registers": 2, "class_token": False},
    ],
)
def test_forward_equals_the_formula(changes: dict[str, object]) -> None:
    torch.manual_seed(3)
    model = VisionTransformer(small(**changes)).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    images = torch.randn(2, *model.input_shape, dtype=torch.float64)
    torch.testing.assert_close(model(images), plain_forward(model, images), rtol=1e-9, atol=1e-9)


def test_macs_of_deit_tiny_are_the_published_count() -> None:
    assert macs(DEIT_TINY) == 1_253_683_200


@pytest.mark.parametrize("config", [FASHION, small(registers=3), small(class_token=False, mlp_ratio=2.5)])
def test_macs_are_those_of_the_products_that_run(config: ViTConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0
    model = VisionTransformer(config).eval()

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        counted += output.numel() * module.weight[0].numel()

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        nonlocal counted
        counted += 2 * q.numel() * k.shape[-2]
        return original(q, k, v)

    original = F.scaled_dot_product_attention
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            module.register_forward_hook(count)
    monkeypatch.setattr(F, "scaled_dot_product_attention", attend)
    model(torch.zeros(1, *model.input_shape))
    assert counted == macs(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 30}, "image_size 30 is not a multiple of patch_size 4"),
        ({"image_size": (12, 0)}, r"image_size \(12, 0\) is not a multiple of patch_size 4"),
        ({"heads": 5}, "dim 12 is not a multiple of heads 5"),
        ({"registers": -1}, "registers must be 0 or more, not -1"),
        ({"depth": 0}, "depth must be a positive integer, not 0"),
        ({"mlp_ratio": 0.01}, "mlp_ratio 0.01 leaves no hidden channel at dim 12"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        small(**changes)
