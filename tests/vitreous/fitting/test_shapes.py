"""What is said of a model's size before it is quantized."""

from __future__ import annotations

import pytest

import vitreous
from tests.models.test_door import IMAGES, Net
from vitreous.fitting import shapes
from vitreous.models import VisionTransformer, ViTConfig, synthetic

pytestmark = pytest.mark.slow
TINY = {
    "name": "tiny",
    "array": {"lanes": 4},
    "memory": {"activation_kib": 1, "residual_kib": 1, "weight_kib": 1, "parameter_entries": 32},
}


class Wide(Net):
    """A network that was built with more rows than the smallest machines hold."""

    def __init__(self) -> None:
        super().__init__()
        config = ViTConfig(
            image_size=32, patch_size=4, in_channels=1, dim=32, depth=1, heads=2, num_classes=3
        )
        VisionTransformer.__init__(self, config)
        self.eval()


def test_a_named_accelerator_that_is_too_small_is_said_before_and_the_graph_is_made(
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = synthetic.images(2, (1, 32, 32), 3)
    graph = vitreous.quantize((Wide(), images), TINY, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    (said,) = [
        number for number, line in enumerate(lines) if line.startswith("  ! Wide does not fit tiny: X, the")
    ]
    assert "; R, the residual memory, needs " in lines[said]
    assert lines[said].endswith(
        "`vitreous fit Wide --accelerator tiny.toml --out mine.toml` writes an accelerator that holds it"
    )
    (made,) = [number for number, line in enumerate(lines) if line.startswith("quantize ")]
    assert said < made
    assert graph.output.shape == (1, 3)


def test_an_accelerator_that_holds_the_model_needs_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    vitreous.quantize((Net(), IMAGES), "edge64", quiet=False)
    assert " fit " not in capsys.readouterr().out


def test_without_a_name_those_that_hold_it_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vitreous.quantize((Net(), IMAGES), quiet=False)
    assert (
        "  held by edge1024, edge256, edge4096, edge64, edge64-ecp5, square256 (of the named"
        in capsys.readouterr().out
    )
    monkeypatch.setattr(shapes, "named_accelerators", lambda: ())
    vitreous.quantize((Net(), IMAGES), quiet=False)
    assert (
        "  ! none of the named accelerators holds Net: `vitreous fit Net --out mine.toml` writes an accelerator that "
        in capsys.readouterr().out
    )
