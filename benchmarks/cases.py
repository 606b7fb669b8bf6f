"""Networks of two kinds that go wrong where nobody looks, each as a line: what a tree of any commit makes of it.

    PYTHONPATH=TREE python -P benchmarks/cases.py [ranges|routes]

``ranges``: networks whose float function is an ordinary one, with numbers beyond a range of the machine that
calibration sees. Right is an output near the float network's, or a warning. ``routes``: models and images in the forms
in which libraries hand them over; right is that ``quantize`` takes them, and that what ``run`` does beside it (digest
and float reference) takes them too and finds the same function.

Uses only what has been there since before either kind was looked at, so that old commits can be asked.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vitreous.flow import steps
from vitreous.golden.interpreter import run_batch
from vitreous.models import VisionTransformer, ViTConfig, load
from vitreous.quant import QuantError, quantize
from vitreous.spec.config import load_accelerator

FAR = 0.1
"""Relative error of the output from which a word is needed."""
SIZES: dict[str, Any] = {
    "image_size": 16,
    "patch_size": 8,
    "in_channels": 1,
    "dim": 16,
    "depth": 1,
    "heads": 2,
}
IMAGES = torch.randn(64, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def network() -> Any:
    """A small transformer with weights of the size that training gives."""
    generator = torch.Generator().manual_seed(7)
    made = VisionTransformer(ViTConfig(num_classes=4, **SIZES)).eval()
    with torch.no_grad():
        for name, p in made.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            gain = p.dim() == 1 and name.endswith("weight")
            p.copy_(1 + 0.2 * noise if gain else noise / p[0].numel() ** 0.5 if p.dim() > 1 else 0.3 * noise)
    return made


def _hidden(model: Any) -> None:
    mlp = model.blocks[0].mlp
    mlp.fc1.weight.mul_(100), mlp.fc1.bias.mul_(100), mlp.fc2.weight.div_(100)


def _scores(model: Any) -> None:
    qkv = model.blocks[0].attn.qkv
    for channel in (0, 8, 16, 24):
        qkv.weight[channel], qkv.bias[channel] = 0, 40


def _keys(model: Any) -> None:
    model.blocks[0].attn.qkv.bias[16:32] += 300


def _values(model: Any) -> None:
    attention = model.blocks[0].attn
    attention.qkv.bias[32:] += 1000
    attention.proj.bias -= 1000 * attention.proj.weight.sum(1)


def _stream(model: Any) -> None:
    model.pos_embed += 1e4


def _branches(model: Any) -> None:
    model.blocks[0].mlp.fc2.bias += 1e3
    model.blocks[0].attn.proj.bias -= 3e3


def _wide_scores(model: Any) -> None:
    model.blocks[0].attn.qkv.weight[:32] *= 12


def _against(model: Any) -> None:
    q, k = model.blocks[0].attn.qkv.weight[:16], model.blocks[0].attn.qkv.weight[16:32]
    factors = torch.tensor([100.0, 1.0, 1.0, 1.0] * 4)[:, None]
    q.mul_(factors), k.div_(factors)
    bias = model.blocks[0].attn.qkv.bias
    bias[:16].mul_(factors[:, 0]), bias[16:32].div_(factors[:, 0])


def _norm_channels(model: Any) -> None:
    block = model.blocks[0]
    factors = torch.tensor([64.0, 1.0, 1.0, 1.0] * 4)
    block.norm2.weight.mul_(factors), block.norm2.bias.mul_(factors)
    block.mlp.fc1.weight.div_(factors)


def _stream_channel(model: Any) -> None:
    model.pos_embed[..., 3] += 200
    model.blocks[0].mlp.fc2.bias[3] -= 200


RANGES: dict[str, Callable[[Any], None]] = {
    "hidden values x 100": _hidden,
    "a constant in q and k": _scores,
    "a stream of mean 10,000": _stream,
    "key bias 300": _keys,
    "values + 1,000, taken off behind": _values,
    "branches of mean 1,000 and -3,000": _branches,
    "scores of 400 octaves": _wide_scores,
    "q against k, 100 in a quarter of the channels": _against,
    "norm gains x 64 in a quarter of the channels": _norm_channels,
    "one channel of the stream at 200": _stream_channel,
}


def judge_range(change: Callable[[Any], None]) -> tuple[bool, str]:
    """Whether the network comes out right, and how."""
    model = network()
    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        change(model)
        wanted = model(IMAGES).double().numpy()
        try:
            graph = quantize(model, IMAGES, name="small")
        except QuantError as error:
            return "misreads" not in str(error), f"refused: {error}"
    found = run_batch(graph, steps.inputs_of(graph, IMAGES.numpy())).reshape(wanted.shape)
    found = (found - graph.output.zero_point) * graph.output.scale
    error = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return error < FAR or bool(said), f"error {error:.3f}{', with a warning' if said else ''}"


@dataclass
class Fields:
    """As Hugging Face's ``ModelOutput``."""

    logits: Tensor
    hidden: Tensor


class _Around(nn.Module):
    """A network whose ``forward`` gives ``made`` of the logits and the images."""

    def __init__(self, made: Callable[[Tensor, Tensor], Any] = lambda logits, images: logits) -> None:
        super().__init__()
        self.net, self.made = network(), made

    def forward(self, images: Tensor) -> Any:
        return self.made(self.net(images), images)


class _ByKeyword(_Around):
    def forward(self, *, pixel_values: Tensor, return_dict: bool = True) -> Any:
        return super().forward(pixel_values)


class _Second(_Around):
    def forward(self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None) -> Any:
        assert pixel_values is not None
        return super().forward(pixel_values)


class _OwnType(_Around):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images.to(self.net.cls_token.dtype))


def _named() -> Any:
    return _Around(lambda logits, images: {"logits": logits}).eval(), IMAGES


def _alone() -> Any:
    return _Around(lambda logits, images: (logits,)).eval(), IMAGES


def _gradient() -> Any:
    return _Around().eval(), nn.BatchNorm2d(1)(IMAGES)


def _nested() -> Any:
    return _Around(lambda logits, images: {"heads": [logits]}).eval(), IMAGES


def _spatial() -> Any:
    return _Around(lambda logits, images: logits[:, :, None, None]).eval(), IMAGES


def _beside() -> Any:
    return _Around(lambda logits, images: {"hidden": images.flatten(1), "logits": logits}).eval(), IMAGES


def _fields() -> Any:
    return _Around(lambda logits, images: Fields(logits, images)).eval(), IMAGES


def _keyword() -> Any:
    return _ByKeyword().eval(), IMAGES


def _second() -> Any:
    return _Second().eval(), IMAGES


def _bfloat16() -> Any:
    return _OwnType().eval().bfloat16(), IMAGES.bfloat16()


def _float64() -> Any:
    return _Around().eval().double(), IMAGES.double()


def _argmax() -> Any:
    return _Around(lambda logits, images: logits.softmax(-1).argmax(-1)).eval(), IMAGES


def _exported() -> Any:
    return torch.export.export(_named()[0], (IMAGES[:1],)).module(), IMAGES


ROUTES: dict[str, Callable[[], Any]] = {
    "a dictionary": _named,
    "a tuple": _alone,
    "images that require a gradient": _gradient,
    "an exported program that returns a dictionary": _exported,
    "a list in a dictionary": _nested,
    "logits with axes of size 1": _spatial,
    "logits beside others in a dictionary": _beside,
    "an object with a field logits": _fields,
    "images by keyword alone": _keyword,
    "pixel_values as the second argument": _second,
    "bfloat16": _bfloat16,
    "float64": _float64,
    "the class of the largest probability": _argmax,
}


def judge_route(factory: Callable[[], Any]) -> tuple[bool, str]:
    """Whether ``run`` takes the model as ``quantize`` does, and what either says."""
    said, config = [], load_accelerator("edge64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            loaded = load(f"cases:{factory.__name__}")
        except Exception as error:
            return False, f"load: {_sentence(error)}"
        for name, step in (
            ("quantize", lambda: steps.quantize(loaded, config)),
            ("run", lambda: (steps.model_digest(loaded), _same(steps.float_logits(loaded), factory()[1]))),
        ):
            try:
                step()
                said.append(f"{name}: ok")
            except Exception as error:
                said.append(f"{name}: {_sentence(error)}")
    return all(text.endswith(": ok") for text in said), "; ".join(said)


def _same(found: Any, images: Tensor) -> None:
    wanted = network()(images.detach().float()[: len(found)]).detach().numpy()
    if found.shape != wanted.shape or np.abs(found - wanted).max() > 0.05 * np.abs(wanted).max():
        raise ValueError("the float reference is another function")


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:110]}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.modules["cases"] = sys.modules["__main__"]  # factories are found by name
    asked = sys.argv[1:] or ["ranges", "routes"]
    bad = 0
    if "ranges" in asked:
        for title, change in RANGES.items():
            right, text = judge_range(change)
            bad += not right
            print(f"{'right' if right else 'WRONG'}  {title}: {text}", flush=True)
    if "routes" in asked:
        for title, factory in ROUTES.items():
            right, text = judge_route(factory)
            bad += not right
            print(f"{'right' if right else 'WRONG'}  {title}: {text}", flush=True)
    sys.exit(bool(bad))
