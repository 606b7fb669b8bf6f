"""A whole accelerator, synthesized and held to the budget of its target; the command; what ships."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vitreous.area.cut import whole
from vitreous.cli import app
from vitreous.reports.timing import measured
from vitreous.reports.timing.budget import BUDGETS_MHZ
from vitreous.reports.timing.delays import load_delays
from vitreous.spec import folders
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.timing.sweep import RUNS, configuration, sweep
from vitreous.timing.timing import digest, measure


def small() -> AcceleratorConfig:
    """4 x 4 x 2 with the smallest memories: all of the control, little of the rest."""
    base = load_accelerator("edge64")
    memory = {
        "activation_kib": 4,
        "weight_kib": 4,
        "residual_kib": 4,
        "parameter_entries": 256,
        "score_keys": 64,
    }
    return replace(
        base,
        name="small",
        array=replace(base.array, lanes=4, depth=2),
        memory=replace(base.memory, **memory),  # type: ignore[arg-type]
    )


@pytest.mark.slow
def test_a_whole_machine_reaches_the_budget_on_ultrascale_plus() -> None:
    found = measure(small(), load_delays("xcup-2"), cache=folders.SYNTHESIS)
    assert not found.missed, found.missed
    assert found.low <= found.clock_mhz <= found.high
    assert found.budget_mhz == BUDGETS_MHZ["xcup-2"]
    # Registers keep their names, and blocks are those of the machine.
    blocks = {worst.path.block for worst in found.blocks}
    assert {"control", "tokens", "load.bursts", "matrix.array"} <= blocks
    # The second time nothing is synthesized.
    assert measure(small(), load_delays("xcup-2"), cache=folders.SYNTHESIS) == found


@pytest.mark.slow
def test_what_ships_is_of_the_rtl_that_its_sources_say() -> None:
    for run in measured.shipped():
        if run.sources == measured.sources() and run.accelerator == "edge64":
            family = load_delays(run.timing.target).family
            assert (
                digest(whole(load_accelerator("edge64"), folders.SYNTHESIS, target=family)) == run.timing.rtl
            )


def test_the_command_says_the_clock_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = measured.shipped()[0].timing
    monkeypatch.setattr("vitreous.timing.timing.measured.kept", lambda *_: known)
    monkeypatch.setattr("vitreous.timing.timing.tool", lambda: known.tool)
    out = tmp_path / "timing.json"
    shown = CliRunner().invoke(app, ["timing", "-a", "edge64", "--json", "--out", str(out)])
    data = json.loads(shown.stdout)
    assert data == {"command": "timing", **json.loads(out.read_text())}
    assert (data["clock_mhz"], data["low"], data["high"]) == (known.clock_mhz, known.low, known.high)
    assert [set(path) for path in data["paths"]] == [
        {"block", "start", "end", "pin", "ns", "model_ns", "levels", "fanout", "steps"} for _ in known.paths
    ]
    assert set(data["paths"][0]["steps"][0]) == {"cell", "name", "beside", "fanout", "ns"}
    text = CliRunner().invoke(app, ["timing", "-a", "edge64"]).stdout
    assert f"{known.clock_mhz:.0f} MHz estimated" in text
    assert known.paths[0].start in text


def test_a_dry_run_does_nothing(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["timing", "-a", "edge64", "--dry-run", "--cache", str(tmp_path)])
    assert "analysis" in shown.stdout
    assert not any(tmp_path.iterdir())


def test_an_unknown_target_is_one_sentence() -> None:
    shown = CliRunner().invoke(app, ["timing", "-a", "edge64", "--target", "xcup-9"])
    assert "There are no delays of 'xcup-9'" in str(shown.exception)


def test_the_sweep_writes_data_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitreous.flow.display import Display

    known = measured.shipped()[0].timing
    monkeypatch.setattr("vitreous.timing.sweep.measure", lambda *_, **__: known)
    page = tmp_path / "timing.md"
    page.write_text("before\n<!-- results -->\nof yesterday\n<!-- results -->\nafter\n")
    data = tmp_path / "measured.json"
    sweep(("edge256",), data, page, tmp_path, Display(quiet=True))
    runs = measured.shipped(data)
    assert {run.accelerator for run in runs} == {"edge256", "edge256-packed"}
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "of yesterday" not in text
    assert "## The worst paths of edge256 on" in text


def test_the_runs_of_the_sweep_are_of_presets_and_targets_that_exist() -> None:
    for name, multiplier, targets in RUNS:
        assert configuration(name, multiplier).array.multiplier == multiplier
        assert all(load_delays(target) for target in targets)
