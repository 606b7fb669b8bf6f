"""The whole ablation of a tiny model, without RTL and with a stand-in for it."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.vitreous.flow.test_pipeline import tiny_model
from vitreous import models
from vitreous.cli import main
from vitreous.errors import RunError
from vitreous.flow import steps
from vitreous.golden.machine import Machine
from vitreous.reports.ablation.ablation import Ablation, load
from vitreous.sim.cycles import predict
from vitreous.sim.run import runtime
from vitreous.spec.config import AcceleratorConfig, ScheduleConfig, load_accelerator
from vitreous.spec.program import Program
from vitreous.studies import ablate as ablation
from vitreous.studies.ablate import Options, ablate
from vitreous.studies.switches import ORDER, SWITCHES

CONFIG = load_accelerator("edge64")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ablation, Path]:
    folder = tmp_path_factory.mktemp("ablation")
    return ablate(tiny_model(), CONFIG, out=folder, options=Options(clock_mhz=100.0)), folder


@pytest.mark.slow
def test_every_optimization_is_off_once_alone_and_once_with_the_others(
    table: tuple[Ablation, Path],
) -> None:
    found, _ = table
    assert found.baseline.order == "baseline"
    alone = [row.name for row in found.rows if row.order == "alone"]
    cumulative = [row.name for row in found.rows if row.order == "cumulative"]
    assert set(alone) == {
        "unified compute unit", "single-pass softmax", "low-cost GELU", "fused attention", "double buffering",
    }  # fmt: skip
    assert cumulative == [*(switch.name for switch in ORDER), "unified compute unit"]


@pytest.mark.slow
def test_rows_differ_from_the_baseline_in_what_is_off(table: tuple[Ablation, Path]) -> None:
    found, _ = table
    base = found.baseline
    rows = {(row.order, row.name): row for row in found.rows}
    assert rows["alone", "double buffering"].cycles > base.cycles
    assert rows["alone", "double buffering"].dram_bytes == base.dram_bytes
    # 5 keys: 5 words of 2 N bytes for each of 2 heads and 2 query tiles, both ways, in beats of 8 bytes.
    spilled = rows["alone", "fused attention"].dram_bytes - base.dram_bytes
    fetched = 8 * CONFIG.bus.beat_bytes * -(-32 // CONFIG.bus.beat_bytes) + 32  # 8 instructions and a FILL
    assert spilled == 2 * 2 * 2 * 5 * 2 * CONFIG.array.lanes + fetched
    assert rows["cumulative", "fused attention"].cycles > rows["cumulative", "double buffering"].cycles
    for row in found.rows:
        assert row.latency_ms == row.cycles / 100 / 1e3
        assert 0 < row.energy.low < row.energy.typical < row.energy.high
        assert (
            row.same_results is (row.name not in ("single-pass softmax", "low-cost GELU"))
            or row.order == "cumulative"
        )
    assert rows["alone", "fused attention"].energy.typical > base.energy.typical
    assert rows["alone", "double buffering"].area == base.area


@pytest.mark.slow
def test_the_files_hold_the_table(table: tuple[Ablation, Path]) -> None:
    found, folder = table
    assert load(folder / "ablation.json") == found
    lines = (folder / "ablation.csv").read_text().splitlines()
    assert len(lines) == 1 + len(found.rows)
    page = (folder / "ablation.html").read_text()
    assert all(row.change.replace("&", "&amp;") in page for row in found.rows)
    assert not list(folder.rglob("*.partial"))


def test_the_same_bits_with_every_switch_of_the_schedule() -> None:
    names = [switch.name for switch in SWITCHES if switch.same_results]
    assert names == ["fused attention", "double buffering"]
    for switch in SWITCHES:
        off = switch.off(CONFIG)
        assert switch.present(CONFIG)
        assert not switch.present(off)
        assert (off.digest == CONFIG.digest) is switch.same_results


def test_an_accelerator_without_an_optimization_is_refused(tmp_path: Path) -> None:
    lacking = replace(CONFIG, schedule=ScheduleConfig(double_buffer=False))
    with pytest.raises(RunError, match="edge64 has no double buffering, so it cannot be switched off"):
        ablate(tiny_model(), lacking, out=tmp_path)
    assert not list(tmp_path.iterdir())


class FakeRtl:
    """Stands for ``sim.run.runtime.simulate``: the functional machine's window and predicted counters, cycles 1 %
    more."""

    def __init__(self) -> None:
        self.folders: set[Path] = set()
        self.spoil = False

    def __call__(
        self, program: Program, images: list[np.ndarray], config: AcceleratorConfig, **named: Any
    ) -> Any:
        self.folders.add(named["folder"])
        window = Machine(config).run(program, images[0]).window.copy()
        if self.spoil:
            window[program.placements[0].offset] ^= 1
        counters = dict(predict(program, config, named["timing"]).counters)
        counters["cycles"] = round(1.01 * counters["cycles"])
        return SimpleNamespace(images=[SimpleNamespace(window=window, counters=counters)])


@pytest.fixture
def rtl(monkeypatch: pytest.MonkeyPatch) -> FakeRtl:
    fake = FakeRtl()
    monkeypatch.setattr(runtime, "simulate", fake)
    monkeypatch.setattr(steps, "require_toolchain", lambda *_: None)
    monkeypatch.setattr(models, "load", lambda name, **given: tiny_model())
    monkeypatch.setattr(ablation, "SWITCHES", [s for s in SWITCHES if s.same_results])
    monkeypatch.setattr(ablation, "ORDER", [s for s in ORDER if s.same_results])
    return fake


@pytest.mark.slow
def test_measured_rows_say_so_and_how_far_the_model_is(rtl: FakeRtl, tmp_path: Path) -> None:
    found = ablate(tiny_model(), CONFIG, out=tmp_path, options=Options(rtl=True))
    for row in found.rows:
        if row.name == "unified compute unit":
            assert (row.cycles_how, row.deviation) == ("modelled", None)
            if "as many" in row.change:
                assert row.candidates[-1].area == {}  # the bound
            assert row.cycles >= min(candidate.cycles for candidate in row.candidates)
        else:
            assert row.cycles_how == "measured"
            assert row.deviation == pytest.approx(1 / 1.01 - 1, abs=1e-3)
            assert (row.compared, row.different) == (3, 0)
    assert len(rtl.folders) == 4  # each schedule alone, both, none: the last cumulative row is another


@pytest.mark.slow
def test_the_command_fails_where_the_rtl_differs(
    rtl: FakeRtl, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rtl.spoil = True
    with pytest.raises(SystemExit) as stopped:
        main(["ablate", "tiny", "--accelerator", "edge64", "--rtl", "--out", str(tmp_path)])
    assert stopped.value.code == 1
    text = capsys.readouterr()
    assert "the simulated accelerator differs from golden" in text.err
    assert "| alone | double buffering |" in text.out
    assert json.loads((tmp_path / "ablation.json").read_text())["rows"][0]["different"] > 0
