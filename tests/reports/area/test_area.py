from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreous.reports.area import area as shipped
from vitreous.reports.area.area import (
    COLUMNS,
    FOLDER,
    FORMAT,
    area,
    compose,
    estimate,
    measurements,
    named_targets,
    read,
)
from vitreous.reports.area.fit import Estimate, Fit, Run
from vitreous.reports.area.pieces import PIECES, Piece, term_value
from vitreous.reports.errors import ReportError
from vitreous.spec.config import (
    AcceleratorConfig,
    ActivationConfig,
    ProtectConfig,
    load_accelerator,
    named_accelerators,
)
from vitreous.spec.variants import (
    ACTIVATIONS,
    ActivationVariant,
    Multiplier,
    NormVariant,
    SoftmaxVariant,
    in_hardware,
)

FPGA = ("ecp5", "xcup")
SWEPT = ("xcup",)
"""Targets whose shipped measurements are those of a whole sweep."""


def piece(*terms: str, memory: bool = False) -> Piece:
    return Piece(
        name="array",
        group="array",
        path="matrix.array",
        variant=lambda _: (),
        sizes=lambda _: {},
        terms=terms,
        memory=memory,
    )


def fit(terms: tuple[str, ...], points: list[dict[str, float]], cost: Any) -> Fit:
    runs = tuple(Run(sizes, {"lut": cost(**sizes), "dsp": 2.0 * sizes["N"]}) for sizes in points)
    return Fit(piece(*terms), "xcup", runs, ("lut", "dsp"))


def test_a_term_is_the_product_of_its_sizes() -> None:
    assert term_value("N*N*V", {"N": 4, "V": 3, "B": 9}) == 48
    assert term_value("1", {}) == 1


def test_a_fit_finds_the_formula_that_made_its_runs() -> None:
    points = [{"N": n, "V": v} for n, v in itertools.product((4.0, 8.0, 16.0), (1.0, 4.0))]
    found = fit(("N*N*V", "N", "1"), points, lambda N, V: 3 * N * N * V + 5 * N + 7).at({"N": 8, "V": 2})
    assert found.cost["lut"] == pytest.approx(3 * 64 * 2 + 40 + 7)
    assert found.cost["dsp"] == pytest.approx(16)
    assert found.kind == "interpolated"
    assert found.error == pytest.approx(0, abs=1e-9)


def test_a_measured_size_is_the_run_itself_and_not_the_fit() -> None:
    points = [{"N": 4.0}, {"N": 8.0}, {"N": 16.0}]
    curved = fit(("N", "1"), points, lambda N: N * N)
    found = curved.at({"N": 8.0})
    assert (found.kind, found.cost["lut"], found.error) == ("measured", 64, None)


def test_beyond_the_runs_is_extrapolated_and_never_negative() -> None:
    falling = fit(("N", "1"), [{"N": 4.0}, {"N": 8.0}], lambda N: 10 - N)
    far = falling.at({"N": 32.0})
    assert far.kind == "extrapolated"
    assert far.cost["lut"] == 0


def test_inside_in_each_size_but_outside_in_their_product_is_extrapolated() -> None:
    points = [{"N": 4.0, "V": 8.0}, {"N": 16.0, "V": 1.0}, {"N": 4.0, "V": 1.0}]
    found = fit(("N*N*V", "1"), points, lambda N, V: N * N * V).at({"N": 16.0, "V": 8.0})
    assert found.kind == "extrapolated"


def test_the_error_is_that_of_a_run_left_out() -> None:
    points = [{"N": n} for n in (2.0, 4.0, 6.0, 8.0)]
    values = {2.0: 10.0, 4.0: 30.0, 6.0: 30.0, 8.0: 40.0}
    found = fit(("N", "1"), points, lambda N: values[N])
    worst = 0.0
    for out in values:
        rest = [n for n in values if n != out]
        slope, intercept = np.polyfit(rest, [values[n] for n in rest], 1)
        worst = max(worst, abs(slope * out + intercept - values[out]) / values[out])
    assert found.error == pytest.approx(worst)


def test_fewer_runs_than_terms_use_the_leading_ones_and_check_nothing() -> None:
    found = fit(("N", "1", "N*V"), [{"N": 4.0, "V": 2.0}], lambda N, V: 12.0).at({"N": 8.0, "V": 2.0})
    assert found.cost["lut"] == pytest.approx(24)
    assert found.error is None


@pytest.mark.parametrize("target", named_targets())
@pytest.mark.parametrize("name", named_accelerators())
def test_every_named_accelerator_has_an_area_that_is_the_sum_of_its_blocks(name: str, target: str) -> None:
    found = area(load_accelerator(name), target)
    assert found.columns
    for column in found.columns:
        parts = [getattr(block, column) for block in found.blocks]
        assert all(part is not None and part >= 0 for part in parts)
        assert getattr(found.total, column) == pytest.approx(sum(parts))
    assert set(COLUMNS) - set(found.columns) == {c for c in COLUMNS if getattr(found.total, c) is None}
    assert found.how.startswith(("measured", "modelled"))
    assert found.tool.startswith("Yosys ")


def test_it_takes_no_time() -> None:
    base = load_accelerator("edge64")
    area(base, "xcup")
    fresh = [replace(base, memory=replace(base.memory, parameter_entries=n)) for n in range(100, 120)]
    started = time.perf_counter()
    for config in fresh:
        area(config, "xcup")
    assert (time.perf_counter() - started) / len(fresh) < 0.01


@pytest.mark.parametrize("target", FPGA)
def test_the_array_has_a_multiplier_for_each_mac_or_half_of_them(target: str) -> None:
    for name, macs in (("edge64", 64), ("edge256", 256), ("edge1024", 1024)):
        blocks = {block.name: block for block in area(load_accelerator(name), target).blocks}
        assert blocks["array"].dsp == macs
    base = load_accelerator("edge64")
    packed = replace(base, array=replace(base.array, multiplier="packed"))
    if target == "xcup":
        assert {b.name: b for b in area(packed, target).blocks}["array"].dsp == 32


@pytest.mark.parametrize("target", SWEPT)
def test_edge64_is_measured_and_a_size_between_is_not(target: str) -> None:
    base = load_accelerator("edge64")
    assert area(base, target).how.startswith("measured")
    between = area(replace(base, queue=replace(base.queue, depth=16)), target)
    assert "interpolated queue" in between.how
    far = area(load_accelerator("edge4096"), target)
    assert "extrapolated" in far.how


@pytest.mark.parametrize("target", SWEPT)
def test_measured_memories_fill_the_block_memories_that_their_shape_needs(target: str) -> None:
    data = measurements(target)
    checked = 0
    for one in PIECES:
        for run in data.fits[one.name, ()].runs if one.memory else ():
            measured, blocks = run.cost["bram"], one.with_blocks(run.sizes, target)["blocks"]
            # Yosys may mix two shapes and save a few: 73 instead of 75 for 5120 words of 256 bits.
            assert measured <= blocks <= 1.03 * measured, (one.name, run.sizes)
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("target", SWEPT)
def test_every_variant_that_a_configuration_can_have_is_measured(target: str) -> None:
    base = load_accelerator("edge64")
    for config in _variants(base):
        area(config, target)


def test_runs_that_are_older_than_a_variant_still_count() -> None:
    """Then a new variant needs no new measurement of the machines that do not have it."""
    data = json.loads((FOLDER / "xcup.json").read_text())
    for run in data["runs"]:
        run["sizes"].pop("shift", None)
    base = load_accelerator("edge64")
    feed = next(piece for piece in PIECES if piece.name == "feed")
    assert estimate(read(data), feed, base) == estimate(measurements("xcup"), feed, base)


def _variants(base: AcceleratorConfig) -> list[AcceleratorConfig]:
    found = [replace(base, array=replace(base.array, multiplier=m)) for m in Multiplier]
    for variant, bits in itertools.product(in_hardware(SoftmaxVariant), (8, 16)):
        found.append(replace(base, softmax=replace(base.softmax, variant=variant, probability_bits=bits)))
    for smooth, linear in itertools.product(in_hardware(ActivationVariant), (False, True)):
        for function in ACTIVATIONS[smooth].functions:
            activation = ActivationConfig(function=function, variant=smooth, interpolate=linear, range=8.0)
            found.append(replace(base, activation=activation))
    return [*found, *(replace(base, norm=replace(base.norm, variant=v)) for v in in_hardware(NormVariant))]


def test_an_unknown_target_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        ReportError, match="No areas were measured for target 'stratix'; there are those of .*xcup"
    ):
        area(load_accelerator("edge64"), "stratix")


def test_a_variant_that_was_never_measured_is_refused() -> None:
    data = json.loads((shipped.FOLDER / "xcup.json").read_text())
    data["runs"] = [run for run in data["runs"] if run["variant"] != ["plain"]]
    found = read(data)
    array = PIECES[0]
    with pytest.raises(
        ReportError, match="xcup has no measured run of array as plain; there are runs of accumulate, packed"
    ):
        shipped.estimate(found, array, load_accelerator("edge64"))


def test_a_protected_machine_is_never_taken_for_one_without_protection() -> None:
    protected = replace(load_accelerator("edge64"), protect=ProtectConfig(parity=True))
    with pytest.raises(ReportError, match="has no measured run of .* as .*parity; there are runs of"):
        area(protected, "xcup")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "The areas have format 'list'; expected 'vitreous.area/1'"),
        (
            {"format": "vitreous.units/1"},
            "The areas have format 'vitreous.units/1'",
        ),
        ({"format": FORMAT}, "The areas are damaged: it lacks columns, runs, target, tool"),
        (
            {"format": FORMAT, "target": "xcup", "tool": "", "columns": ["lut"], "runs": [{"cost": {}}]},
            r"The areas are damaged: runs\[0\] lacks piece, sizes, variant",
        ),
        (
            {
                "format": FORMAT,
                "target": "xcup",
                "tool": "",
                "columns": ["lut", "ff"],
                "runs": [{"piece": "array", "variant": [], "sizes": {"N": 4}, "cost": {"lut": 1}}],
            },
            "The areas are damaged: a run of array lacks ff",
        ),
    ],
)
def test_damaged_data_is_refused(data: Any, sentence: str) -> None:
    with pytest.raises(ReportError, match=sentence):
        read(data)


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.name)
def test_every_size_of_a_formula_is_one_that_some_variant_has(piece: Piece) -> None:
    """What no variant has would count as 0 without a word."""
    base = load_accelerator("edge256")
    configs = [base, *(load_accelerator(name) for name in named_accelerators())]
    configs += [replace(base, activation=ActivationConfig(variant=v)) for v in in_hardware(ActivationVariant)]
    known = {"1", *(size for config in configs for size in piece.sizes(config))}
    known |= {"blocks"} if piece.memory else set()
    assert {factor for term in piece.terms for factor in term.split("*")} <= known


def test_a_file_that_is_no_json_names_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.json").write_text("{")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(ReportError, match=r"^mine\.json: "):
        measurements("mine")


def test_errors_of_the_formulas_add_up_and_what_nothing_checks_is_named() -> None:
    def known(name: str) -> Estimate:
        checked = name != "array"
        return Estimate(
            {"lut": 10.0, "ff": 5.0},
            "measured" if name == "dispatch" else "extrapolated",
            0.2 if checked else None,
            {"lut": 0.2} if checked and name != "dispatch" else {},
        )

    estimates = {piece.name: known(piece.name) for piece in PIECES}
    found = compose("a", "xcup", estimates, "t")
    copies = sum(1 + len(piece.copies) for piece in PIECES)
    assert found.total.lut == 10 * copies
    assert found.errors == {"lut": pytest.approx(0.2 * (copies - 2) / copies), "ff": 0.0}
    assert found.unchecked == ("array",)
    assert found.unchecked_share == pytest.approx(1 / copies)
