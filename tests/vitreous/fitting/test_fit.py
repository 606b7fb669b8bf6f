"""What ``fit`` writes compiles at the first try, and with a step less of any memory it does not."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from tests.support.compiler.graphs import random_vit_graph
from tests.support.quant.zoo import Shape, Vit, images
from vitreous.compiler import compile
from vitreous.compiler.accesses import memory_words
from vitreous.compiler.needs import DoesNotFitError
from vitreous.compiler.planning import task
from vitreous.compiler.tiling import MemoryBudget
from vitreous.errors import RunError
from vitreous.fitting.fit import _Wanted, fit
from vitreous.fitting.memories import roomy, smallest
from vitreous.fitting.rate import cycles, exact_cycles
from vitreous.fitting.shapes import shapes
from vitreous.flow.accelerator import as_toml
from vitreous.models import VisionTransformer, ViTConfig, load, macs
from vitreous.models.catalog import DEIT_SMALL_384, DINOV2_SMALL, VIT_BASE
from vitreous.quant import quantize, structure
from vitreous.reports.area.area import area
from vitreous.reports.area.devices import DEVICES
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import (
    AcceleratorConfig,
    ActivationConfig,
    ArrayConfig,
    MemoryConfig,
    NormConfig,
    SoftmaxConfig,
    load_accelerator,
)
from vitreous.spec.graph import Graph, Op
from vitreous.spec.isa import Memory
from vitreous.spec.layout import SHIFTS_PER_WORD

STEPS = {
    "activation_kib": 1,
    "weight_kib": 1,
    "residual_kib": 1,
    "parameter_entries": 1,
    "score_keys": 8,
}
LEAST = {"activation_kib": 1, "weight_kib": 1, "residual_kib": 1, "parameter_entries": 32, "score_keys": 8}
BASES = ("edge64", "edge256", "edge1024", "square256")


def shaped(seed: int) -> tuple[Graph, AcceleratorConfig]:
    """A network of random size and one of ``BASES``."""
    source = random.Random(seed)
    heads, patch = source.randint(1, 4), source.choice([2, 4, 5])
    sizes: dict[str, Any] = {
        "image": (patch * source.randint(2, 12), patch * source.randint(2, 12)),
        "patch": patch,
        "channels": source.randint(1, 4),
        "dim": heads * source.choice([8, 13, 24, 32]),
        "heads": heads,
        "depth": source.randint(1, 4),
        "mlp": source.choice([40, 96, 260]),
        "classes": source.randint(2, 200),
        "class_token": source.random() < 0.5,
        "shifted": source.random() < 0.5,
    }
    return random_vit_graph(seed, **sizes), load_accelerator(BASES[seed % len(BASES)])


@pytest.mark.alike(2)
@pytest.mark.parametrize("seed", range(24))
def test_the_result_compiles_and_a_step_less_of_any_memory_does_not(seed: int) -> None:
    graph, base = shaped(seed)
    found = fit(graph, base).accelerator
    assert dataclasses.replace(found, memory=base.memory, name=base.name) == base, "only memories were chosen"
    compile(graph, found)
    compile(graph, found, observe=True)
    refused = 0
    for name, step in STEPS.items():
        size = getattr(found.memory, name)
        if size - step < LEAST[name]:
            continue
        less = dataclasses.replace(found, memory=dataclasses.replace(found.memory, **{name: size - step}))
        with pytest.raises(DoesNotFitError, match=f"memory.{name}"):
            compile(graph, less)
        refused += 1
    assert refused >= 2


@pytest.mark.parametrize(("width", "columns"), [(8, 32), (33, 64)])
def test_rows_of_several_blocks_get_room_for_the_longest_and_for_their_contexts(
    width: int, columns: int
) -> None:
    """159 keys are blocks of 64 and 95, 160 of 64, 64 and 32."""
    sizes = {"patch": 2, "channels": 1, "dim": width, "heads": 1, "depth": 1, "mlp": 8, "class_token": False}
    for keys, longest in ((159, 96), (160, 64), (95, 96)):
        graph = random_vit_graph(1, image=(2, 2 * keys), **sizes)
        found = fit(graph, load_accelerator("edge64")).accelerator
        assert found.memory.score_keys == longest
        assert found.memory.context_columns == (32 if keys == 95 else columns)
        compile(graph, found)
        if found.memory.context_columns > 32:
            less = dataclasses.replace(found.memory, context_columns=32)
            with pytest.raises(DoesNotFitError, match="memory.context_columns"):
                compile(graph, dataclasses.replace(found, memory=less))


@pytest.mark.alike(2)
@pytest.mark.parametrize("seed", [1, 2, 6, 9, 13, 18])
def test_the_length_of_a_program_is_counted_from_two_of_its_layers(seed: int) -> None:
    graph, config = shaped(seed)
    work = task(graph, dataclasses.replace(config, memory=MemoryConfig()), observe=bool(seed % 2))
    words = {**memory_words(work.config), Memory.W: work.least[Memory.W] + 64, Memory.P: 128}
    for budget in (MemoryBudget(), MemoryBudget(weight_parts=12, early_norm=False, blocks=2)):
        whole = work.lowered(budget, words).emitter.steps
        assert work.instructions(budget, words) == len(whole) + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "config"),
    [("deit-small-384", DEIT_SMALL_384), ("vit-base", VIT_BASE), ("dinov2-small", DINOV2_SMALL)],
)
def test_the_large_models_compile_for_what_fit_finds(name: str, config: ViTConfig) -> None:
    found = fit(name).accelerator
    graph = shapes(load(name), found)
    assert graph.macs == macs(config)
    scores = [graph.tensors[node.outputs[0]].shape for node in graph.nodes if node.op is Op.SCORES]
    assert scores == [(config.heads, config.tokens, config.tokens)] * config.depth
    program = compile(graph, found)
    assert program.macs == graph.macs
    assert program.config_digest == found.digest


@pytest.mark.slow
def test_weights_are_not_looked_at() -> None:
    """Also where a factor or a norm is folded into them: the same shapes as with numbers."""
    shape = Shape(depth=2, layer_scale=True, head="patch mean after norm", registers=2)
    units: dict[str, Any] = {
        "softmax": SoftmaxConfig(),
        "activation": ActivationConfig(),
        "norm": NormConfig(),
    }
    graph = structure(Vit(shape).eval(), shape.image, name="v", **units)
    whole = quantize(Vit(shape), images(shape, 2), name="v")
    for one, two in zip(graph.nodes, whole.nodes, strict=True):
        assert (one.op, one.name, one.inputs) == (two.op, two.name, two.inputs)
        assert {key: value.shape for key, value in one.constants.items()} == {
            key: value.shape for key, value in two.constants.items()
        }
    weights = [node.constants["weight"] for node in graph.nodes if "weight" in node.constants]
    assert all(not table.any() and table.strides[1] == 0 for table in weights)


@pytest.mark.slow
def test_what_calibration_may_choose_has_room() -> None:
    """Which norms shift channels is known after calibration only, so the shapes of a module have them all shifted."""
    sizes = {"image_size": 8, "patch_size": 4, "in_channels": 1, "dim": 1104, "depth": 1, "heads": 2}
    found = fit(VisionTransformer(ViTConfig(num_classes=4, **sizes)), load_accelerator("edge64")).accelerator
    assert found.memory.parameter_entries >= 1104 / SHIFTS_PER_WORD > LEAST["parameter_entries"]
    net = {"image": (8, 8), "patch": 4, "channels": 1, "dim": 1104, "heads": 2, "depth": 1, "mlp": 4 * 1104}
    compile(random_vit_graph(1, classes=4, shifted=True, **net), found)


@pytest.mark.slow
def test_a_tensor_beyond_the_addresses_gets_an_array_with_wider_words() -> None:
    """4,033 tokens of 68 channels are 68,612 words of R at 4 lanes; X holds two panels of as many bytes, which at 8
    lanes have addresses from a depth of 2 on.
    """
    base = AcceleratorConfig(name="narrow", array=ArrayConfig(lanes=4, depth=2))
    graph = random_vit_graph(1, image=(63, 64), patch=1, channels=1, dim=68, heads=1, depth=1, mlp=8)
    found = fit(graph, base)
    assert found.accelerator.array == ArrayConfig(lanes=8, depth=2)
    assert "an address has 16 bits; an array with more lanes has wider words (array.lanes)" in found.reason
    compile(graph, found.accelerator)


@pytest.mark.slow
def test_what_no_array_can_hold_is_refused() -> None:
    graph = random_vit_graph(1, image=(65, 65), patch=1, channels=1, dim=8, heads=1, depth=1, mlp=8)
    with pytest.raises(DoesNotFitError, match=r"4226 keys, and softmax.variant = base2 takes at most 4096"):
        fit(graph, "edge64")


@pytest.mark.slow
def test_a_rate_is_met_by_the_cycle_model_and_not_by_fewer_multipliers() -> None:
    graph, base = shaped(1)
    slow = fit(graph, base, fps=1)
    assert slow.accelerator.array.macs_per_cycle == 16
    wanted = 4 * (slow.images_per_second or 0)
    found = fit(graph, base, fps=wanted)
    cycles = predict(compile(graph, found.accelerator), found.accelerator, MemoryTiming()).cycles
    assert found.images_per_second == pytest.approx(200e6 / cycles)
    assert found.images_per_second >= wanted
    assert found.accelerator.array.macs_per_cycle > 16
    with pytest.raises(RunError, match=r"No array makes 1e\+09 images of random-1 a second at 200 MHz; none"):
        fit(graph, base, fps=1e9)


@pytest.mark.slow
def test_a_rate_between_that_of_the_smallest_and_of_roomy_memories_gets_sizes_in_between() -> None:
    graph = random_vit_graph(
        5, image=(16, 16), patch=4, channels=3, dim=96, heads=3, depth=6, mlp=384, classes=10, shifted=True
    )
    config = AcceleratorConfig(name="small", array=ArrayConfig(lanes=8, depth=4))
    work = task(graph, config, observe=True)
    sizes = [each(work, "v") for each in (smallest, roomy)]
    slow, fast = (200e6 / exact_cycles(graph, each) for each in sizes)
    assert fast > 1.1 * slow
    for each in sizes:
        assert cycles(graph, each) == pytest.approx(exact_cycles(graph, each), rel=1e-3)
    rate = (slow + fast) / 2
    found = _Wanted(graph, config, None, rate, 200.0)._between(sizes[1], config)
    assert 200e6 / exact_cycles(graph, found) >= rate
    for name in STEPS:
        least, most = (getattr(each.memory, name) for each in sizes)
        assert least <= getattr(found.memory, name) <= most
    assert found.memory.weight_kib < sizes[1].memory.weight_kib
    assert found.memory.parameter_entries < sizes[1].memory.parameter_entries / 2
    compile(graph, found, observe=True)


def test_a_device_holds_what_is_chosen_for_it() -> None:
    graph, base = shaped(2)
    found = fit(graph, base, device="lfe5u-85")
    total = area(found.accelerator, "ecp5").total
    for name, has in DEVICES["lfe5u-85"].resources.items():
        assert getattr(total, name) <= has
    compile(graph, found.accelerator)
    assert found.images_per_second
    with pytest.raises(RunError, match="Unknown device 'xck27'; known are .*; did you mean 'xck26'?"):
        fit(graph, base, device="xck27")


def test_the_file_is_read_back_as_it_was(tmp_path: Any) -> None:
    found = fit(*shaped(3)).accelerator
    path = tmp_path / "fit.toml"
    path.write_text(as_toml(found.as_dict(), "why"))
    assert path.read_text().startswith("# why\n")
    assert AcceleratorConfig.from_toml(path) == found
