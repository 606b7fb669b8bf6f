"""The catalogue of nonlinear units and what is measured of it."""

from pathlib import Path
from typing import Any

import pytest

from vitreous.characterize import units
from vitreous.characterize.catalog import ALONE, catalogue
from vitreous.characterize.models import Models
from vitreous.flow.display import Display
from vitreous.golden.activation import activation as activation
from vitreous.golden.norm import norm
from vitreous.golden.softmax import softmax
from vitreous.reports.units.units import PartCost
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.softmax import limits
from vitreous.spec.variants import ACTIVATIONS, EXACT


def variants(kind: type) -> set[str]:
    return {entry.config.variant for entry in catalogue() if isinstance(entry.config, kind)}  # type: ignore[union-attr]


def test_every_variant_has_an_entry() -> None:
    assert variants(SoftmaxConfig) == set(softmax.VARIANTS)
    assert variants(ActivationConfig) == (set(activation.EVEN) | set(activation.DIRECT)) - {EXACT}
    assert variants(NormConfig) == set(norm.VARIANTS)


def test_defaults_are_in_the_catalogue() -> None:
    configs = [entry.config for entry in catalogue()]
    assert all(default in configs for default in (SoftmaxConfig(), ActivationConfig(), NormConfig()))


def test_names_are_unique_and_safe_ranges_are_those_of_spec() -> None:
    names = [entry.name for entry in catalogue()]
    assert len(names) == len(set(names))
    for entry in catalogue():
        if isinstance(entry.config, SoftmaxConfig):
            assert f"1 to {limits(entry.config).max_keys} keys" in entry.safe


def test_formats_say_what_the_configuration_has() -> None:
    for entry in catalogue():
        if isinstance(entry.config, ActivationConfig):
            assert f"Q6.{entry.config.fraction_bits}" in entry.formats
            if ACTIVATIONS[entry.config.variant].tabulated:
                assert f"1/{1 << entry.config.step_bits}" in entry.formats
                assert f"{entry.config.range:g}" in entry.formats


@pytest.mark.slow
def test_every_part_becomes_gates_and_equal_names_are_equal_parts() -> None:
    from vitreous.characterize.cost import rtlil

    texts: dict[str, str] = {}
    for entry in catalogue():
        assert entry.latency()
        for part in entry.parts:
            text = rtlil(part.make(part.widths[0]), part.name)
            assert texts.setdefault(part.name, text) == text


def test_results_of_models_are_kept_by_configuration_and_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def accuracy(self: Models, config: Any) -> dict[str, float]:
        made.append(config)
        return {"images": 512, "correct": 400 + len(made), "same": 0}

    monkeypatch.setattr(Models, "_accuracy", accuracy)
    models = Models(tmp_path)
    first = models.accuracy(ActivationConfig())
    assert Models(tmp_path).accuracy(ActivationConfig()) == first
    assert models.accuracy(ActivationConfig(variant="poly")) != first
    models.sources = "others"
    assert models.accuracy(ActivationConfig()) != first
    assert len(made) == 3


@pytest.mark.slow
def test_a_layer_errs_by_nothing_against_itself_and_more_with_a_worse_unit(tmp_path: Path) -> None:
    models, exact = Models(tmp_path), units.exact(ActivationConfig())
    assert models.layer_error(exact, exact) == 0
    fine, rough = (models.layer_error(ActivationConfig(variant=v), exact) for v in ("delta", "shift"))
    assert 0 < fine < rough < 0.1


@pytest.mark.slow
def test_collecting_fills_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [e for e in catalogue() if e.name in ("gelu_poly", "softmax_ita_8", "rsqrt", "norm_one_pass")]
    lane = {"lut": 1.0, "ff": 2.0, "dsp": 0.0, "bram": 0.0}
    monkeypatch.setattr(units, "catalogue", lambda: entries)
    monkeypatch.setattr(units, "tool", lambda: "Yosys of the test")
    monkeypatch.setattr(
        units,
        "costs",
        lambda part, family, cache: PartCost(part=part.name, family=family, lane=lane, shared=lane, depth=3),
    )
    monkeypatch.setattr(
        Models, "_accuracy", lambda self, config: {"images": 512, "correct": 450, "same": 460}
    )
    monkeypatch.setattr(Models, "_layer_error", lambda self, config, exact: 0.01)
    found = units.collect(tmp_path, ("xcup",), Display(quiet=True))
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["gelu_poly", "softmax_ita_8", "norm_one_pass", "rsqrt"]
    assert rows["softmax_ita_8"].total("xcup") == {"lut": 2, "ff": 4, "dsp": 0, "bram": 0, "depth": 3}
    assert {s.distribution for s in rows["softmax_ita_8"].scores} >= {"real", "flat-1", "normal-4-197"}
    assert rows["gelu_poly"].correct == 450
    assert rows["rsqrt"].correct is None
    assert all(row.curve for name, row in rows.items() if name != "softmax_ita_8")
    assert found.references == {"float": 450, "softmax": 450, "gelu": 450, "layer norm": 450}
    assert any(part.widths == ALONE for entry in entries for part in entry.parts)
