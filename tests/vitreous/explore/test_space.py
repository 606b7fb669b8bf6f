"""Reading a space: what it becomes, and one sentence for everything that it may not be."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.explore import tiny
from tests.support.tree import EXAMPLES
from vitreous.errors import RunError
from vitreous.explore.fields import design, known_fields
from vitreous.explore.space_file import read_space, space_of
from vitreous.spec.config import AcceleratorConfig, ConfigError


@pytest.mark.parametrize("name", ["fashion", "deit-tiny"])
def test_the_examples_can_be_read(name: str) -> None:
    space = read_space(EXAMPLES / f"{name}-space.toml")
    assert space.models[0].startswith(name)
    assert space.size > 300
    made = design(space.base, {d.name: d.values[-1] for d in space.dimensions})
    assert isinstance(made.config, AcceleratorConfig)


def test_every_field_of_the_configuration_is_known() -> None:
    config = AcceleratorConfig()
    dotted = {f"{part}.{f}" for part, fields in config.as_dict().items() if part != "name" for f in fields}
    assert dotted <= set(known_fields())
    assert {"quantization.observer", "quantization.probability_bits"} <= set(known_fields())


def test_dimensions_and_fixed_fields() -> None:
    space = tiny.space()
    assert [d.name for d in space.searched] == [
        "array.lanes", "array.depth", "bus.data_bits", "memory.residual_kib", "memory.activation_kib",
        "memory.score_keys",
    ]  # fmt: skip
    assert space.fixed == {"memory.weight_kib": 16, "quantization.calibration_images": 2}
    assert space.size == 2 * 3 * 2 * 2 * 2 * 2


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ({"low": 16, "high": 100, "log": True}, (16, 32, 64)),
        ({"low": 3, "high": 3, "log": True}, (3,)),
        ({"low": 10, "high": 19, "step": 4}, (10, 14, 18)),
        ({"low": 2, "high": 4}, (2, 3, 4)),
    ],
)
def test_ranges(entry: dict[str, Any], values: tuple[int, ...]) -> None:
    space = tiny.space(space={"memory.weight_kib": entry, "array.lanes": [4, 8]})
    assert space.dimensions[0].values == values


def test_tables_and_dotted_names_are_the_same() -> None:
    nested = tiny.space(space={"array": {"lanes": [4, 8], "depth": [1]}})
    dotted = tiny.space(space={"array.lanes": [4, 8], "array.depth": [1]})
    assert nested == dotted


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"space": {"array.lane": [4]}}, r"Unknown field array\.lane in \[space\]; known here are array\.lanes, "),
        ({"space": {"cache.size": [4]}}, r"Unknown field cache\.size in \[space\]; known here are array, memory, "),
        ({"space": {"array.lanes": []}}, r"array\.lanes must have at least one value; its list is empty"),
        ({"space": {"array.lanes": [4, "8"]}}, r"array\.lanes must be an integer, not '8'"),
        ({"space": {"array.lanes": [4, True]}}, r"array\.lanes must be an integer, not True"),
        ({"space": {"array.lanes": [4, 5]}}, r"array\.lanes must be one of 4, 8, 16, 32, not 5"),
        ({"space": {"array.lanes": [4, 8, 4]}}, r"array\.lanes has a value twice: 4, 8, 4"),
        ({"space": {"array.lanes": 8}}, r"\[space\] fixes every field that it names"),
        ({"space": {}}, r"\[space\] must name at least one field"),
        ({"space": {"activation.range": {"low": 1, "high": 2}}}, r"activation\.range is not an integer, so it takes"),
        ({"space": {"memory.weight_kib": {"low": 8}}}, r"memory\.weight_kib\.high is missing"),
        (
            {"space": {"memory.weight_kib": {"low": 8, "high": 4}}},
            r"memory\.weight_kib\.high must be at least 8, not 4",
        ),
        (
            {"space": {"memory.weight_kib": {"low": 8, "high": 9, "by": 1}}},
            r"Unknown key by in the range memory\.weight_kib; known are low, high, step, log",
        ),
        (
            {"space": {"quantization.observer": ["mse", "best"]}},
            r"quantization: observer must be one of output, minmax, percentile, mse, not 'best'",
        ),
        (
            {"space": {"quantization.probability_bits": ["auto", 12]}},
            r"quantization\.probability_bits must be auto, 8 or 16, not 12",
        ),
        ({"models": []}, r"models must be a list of words in quotes, at least one, not \[\]"),
        ({"objectives": ["speed"]}, r"Unknown objective 'speed'; the objectives are latency, energy, "),
        ({"technology": {"name": "asic-45nm", "dram": "ddr4"}}, r"technology\.clock_mhz is missing"),
        (
            {"technology": {"name": "asic-45nm", "dram": "ddr4", "clock_mhz": 200, "area": "tsmc"}},
            r"Unknown area 'tsmc'; measured are ",
        ),
        ({"constraints": {"luts": 5}}, r"Unknown key luts in constraints; known are device, lut, "),
        ({"constraints": {"device": "xc7z020"}}, r"Unknown constraints\.device 'xc7z020'; known are xck26, "),
        ({"constraints": {"device": "lfe5u-85"}}, r"The device lfe5u-85 needs technology\.area = 'ecp5', not 'xcup'"),
        ({"extra": 1}, r"Unknown key extra in the space; known are models, accelerator, "),
    ],
)  # fmt: skip
def test_what_a_space_may_not_be(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        tiny.space(**changes)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"Cannot read the space .*: No such file"):
        read_space(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("models = [")
    with pytest.raises(RunError, match=r"bad\.toml is not valid TOML"):
        read_space(tmp_path / "bad.toml")


def test_a_value_that_needs_another_is_no_error() -> None:
    space = tiny.space(space={"activation.range": [3.0, 3.015625], "activation.step_bits": [5, 6]})
    with pytest.raises(ConfigError, match=r"multiple of the table's step"):
        design(space.base, {"activation.range": 3.015625, "activation.step_bits": 5})


def test_fields_without_effect_make_no_new_design() -> None:
    base = AcceleratorConfig()
    shift = design(
        base, {"activation.variant": "shift", "activation.step_bits": 6, "activation.interpolate": False}
    )
    assert shift.key == design(base, {"activation.variant": "shift"}).key
    table = design(base, {"activation.variant": "table", "activation.step_bits": 6})
    assert table.key != design(base, {"activation.variant": "table"}).key
    named = space_of({**tiny.contents(), "accelerator": "edge256"}, "tiny").base
    assert design(named, {}).key == design(base, {}).key
