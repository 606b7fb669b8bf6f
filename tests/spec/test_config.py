from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from vitreous.spec.config import (
    AcceleratorConfig,
    ActivationConfig,
    ArrayConfig,
    ConfigError,
    MemoryConfig,
    NormConfig,
    ScheduleConfig,
    SoftmaxConfig,
    load_accelerator,
    named_accelerators,
)
from vitreous.spec.variants import EXACT, ActivationFunction, ActivationVariant

MACS = {"edge64": 64, "edge64-ecp5": 64, "edge256": 256, "edge1024": 1024, "edge4096": 4096, "square256": 256}


@pytest.mark.parametrize("name", named_accelerators())
def test_presets_load_and_are_named_by_their_macs(name: str) -> None:
    config = load_accelerator(name)
    assert config.name == name
    assert config.array.macs_per_cycle == MACS[name]


def test_digest_follows_every_field_but_the_name() -> None:
    base = AcceleratorConfig()
    assert dataclasses.replace(base, name="other").digest == base.digest
    changes: list[dict[str, Any]] = [
        {"array": {"lanes": 16}}, {"array": {"depth": 8}}, {"memory": {"score_keys": 128}}, {"bus": {"data_bits": 128}},
        {"softmax": {"variant": "online"}}, {"activation": {"step_bits": 6}}, {"queue": {"depth": 4}},
        {"softmax": {"probability_bits": 16}}, {"activation": {"function": "silu", "range": 8.0}},
        {"activation": {"interpolate": False}}, {"norm": {"variant": "two_pass"}}, {"array": {"multiplier": "packed"}},
        {"protect": {"parity": True}},
    ]  # fmt: skip
    digests = {AcceleratorConfig.from_dict(change).digest for change in changes}
    assert len(digests | {base.digest}) == len(changes) + 1
    assert base.digest32 == int(base.digest[:8], 16) < 1 << 32


def test_a_machine_that_is_not_protected_has_the_digest_that_it_had_before() -> None:
    # The contents of the digest are those of the time before [protect]: its table is in them only where it says more.
    base = AcceleratorConfig.from_dict({"protect": {"parity": False}})
    contents = {
        key: value for key, value in base.as_dict().items() if key not in ("name", "schedule", "protect")
    }
    assert base.digest == hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:16]


def test_the_schedule_is_the_compilers_and_not_in_the_digest() -> None:
    base = load_accelerator("edge64")
    changed = AcceleratorConfig.from_dict({**base.as_dict(), "schedule": {"double_buffer": False}})
    assert changed.schedule == ScheduleConfig(double_buffer=False) != base.schedule
    assert changed != base
    assert (changed.digest, changed.digest32) == (base.digest, base.digest32)


def test_dictionary_round_trip() -> None:
    config = load_accelerator("edge1024")
    assert AcceleratorConfig.from_dict(config.as_dict()) == config


def test_words_of_the_memories() -> None:
    memory = MemoryConfig(
        activation_kib=64, weight_kib=32, residual_kib=16, parameter_entries=100, score_keys=64
    )
    config = AcceleratorConfig(array=ArrayConfig(lanes=16, depth=2), memory=memory)
    assert (config.panel_word_bytes, config.residual_word_bytes) == (32, 32)
    depths = (config.x_depth, config.w_depth, config.r_depth, config.p_depth, config.s_depth)
    assert depths == (2048, 1024, 512, 100, 32)


WRONG = [
    ({"array": {"lanes": 5}}, "array.lanes must be one of 4, 8, 16, 32, not 5"),
    ({"array": {"depth": 3}}, "array.depth must be one of 1, 2, 4, 8, not 3"),
    ({"array": {"lanes": 8.0}}, "array.lanes must be one of 4, 8, 16, 32, not 8.0"),
    ({"array": {"depth": True}}, "array.depth must be one of 1, 2, 4, 8, not True"),
    ({"array": {"groups": 2}}, "array.groups must be one of 1, not 2"),
    (
        {"array": {"multiplier": "dsp"}},
        "array.multiplier must be one of plain, accumulate, packed, not 'dsp'",
    ),
    ({"memory": {"weight_kib": 0}}, "memory.weight_kib must be an integer in 1..16384, not 0"),
    ({"memory": {"weight_kib": True}}, "memory.weight_kib must be an integer in 1..16384, not True"),
    ({"memory": {"parameter_entries": 8}}, "memory.parameter_entries must be an integer in 32..65536, not 8"),
    ({"memory": {"score_keys": 12}}, "memory.score_keys must be a multiple of 8, not 12"),
    (
        {"memory": {"context_columns": 48}},
        "memory.context_columns must be one of 32, 64, 128, 256, 512, not 48",
    ),
    ({"memory": {"residual_kib": 16384}}, "memory.residual_kib gives 1048576 words, outside 2..65536"),
    ({"bus": {"data_bits": 32}}, "bus.data_bits must be one of 64, 128, 256, not 32"),
    (
        {"softmax": {"variant": "soft"}},
        "softmax.variant must be one of base2, online, ibert, ita, exact, not 'soft'",
    ),
    (
        {"softmax": {"variant": "exact"}},
        "softmax.variant exact is float64: golden computes it, no hardware does",
    ),
    ({"softmax": {"fraction_bits": 5}}, "softmax.fraction_bits must be an integer in 6..9, not 5"),
    ({"softmax": {"fraction_bits": 10}}, "softmax.fraction_bits must be an integer in 6..9, not 10"),
    ({"softmax": {"probability_bits": 12}}, "softmax.probability_bits must be one of 8, 16, not 12"),
    (
        {"activation": {"variant": "exact"}},
        "activation.variant exact is float64: golden computes it, no hardware does",
    ),
    (
        {"activation": {"variant": "erf"}},
        f"activation.variant must be one of {', '.join(ActivationVariant)}, not 'erf'",
    ),
    (
        {"activation": {"function": "swish"}},
        f"activation.function must be one of {', '.join(ActivationFunction)}, not 'swish'",
    ),
    (
        {"activation": {"function": "silu", "variant": "poly"}},
        "activation.variant poly approximates GELU only; for silu use",
    ),
    ({"activation": {"interpolate": 1}}, "activation.interpolate must be one of False, True, not 1"),
    ({"activation": {"step_bits": 9}}, "activation.step_bits must be an integer in 2..8, not 9"),
    ({"norm": {"variant": "exact"}}, "norm.variant exact is float64: golden computes it, no hardware does"),
    (
        {"norm": {"variant": "welford"}},
        "norm.variant must be one of one_pass, two_pass, exact, not 'welford'",
    ),
    (
        {"activation": {"range": 5.51}},
        "activation.range must be in .* a multiple of the table's step, not 5.51",
    ),
    (
        {"activation": {"range": "5"}},
        "activation.range must be in .* a multiple of the table's step, not '5'",
    ),
    ({"activation": {"fraction_bits": 23}}, "activation.fraction_bits must be an integer in 10..22, not 23"),
    ({"schedule": {"double_buffer": 0}}, "schedule.double_buffer must be one of False, True, not 0"),
    (
        {"schedule": {"fused_attention": "no"}},
        "schedule.fused_attention must be one of False, True, not 'no'",
    ),
    ({"queue": {"depth": 3}}, "queue.depth must be one of 2, 4, 8, 16, 32, not 3"),
    ({"array": {"width": 8}}, "Unknown field array.width; the fields are depth, groups, lanes, multiplier"),
    ({"cache": {}}, r"Unknown part \[cache\]; the parts are name, array"),
    ({"array": 8}, "array must be a table, not 8"),
]


@pytest.mark.parametrize(("data", "sentence"), WRONG, ids=[str(data) for data, _ in WRONG])
def test_errors_name_the_field_and_the_value(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        AcceleratorConfig.from_dict(data)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[array]\nlanes = 4\n")
    assert (load_accelerator(str(path)).name, load_accelerator(str(path)).array.lanes) == ("mine", 4)
    path.write_text("[array\n")
    with pytest.raises(ConfigError, match="mine.toml is not valid TOML"):
        load_accelerator(str(path))
    with pytest.raises(ConfigError, match="Cannot read the accelerator file .*absent.toml: No such file"):
        load_accelerator(str(tmp_path / "absent.toml"))
    with pytest.raises(ConfigError, match="Unknown accelerator 'edge7'; named ones are .*edge256"):
        load_accelerator("edge7")


def test_gelu_entries() -> None:
    assert ActivationConfig(step_bits=5, range=5.5).entries == 176


def test_a_table_reaches_where_the_function_is_relu() -> None:
    for activation, least in (
        (ActivationConfig(range=2.75), "3 for gelu"),
        (ActivationConfig(function="silu"), "8 for silu"),
    ):
        with pytest.raises(ConfigError, match=f"activation.range must be at least {least}, not"):
            AcceleratorConfig(activation=activation)
    AcceleratorConfig(activation=ActivationConfig(variant="poly", range=0.25))  # has no table


def test_exact_is_a_variant_of_the_parts_alone() -> None:
    """Golden takes the parts; only a whole accelerator refuses float64."""
    for part in (SoftmaxConfig, ActivationConfig, NormConfig):
        assert part(variant=EXACT).variant == EXACT
