"""A whole run with the functional machine in the place of the RTL: files, resuming, and what a difference does."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from vitreous.errors import RunError
from vitreous.flow import pipeline, steps
from vitreous.flow import run as flow
from vitreous.flow.options import Options
from vitreous.flow.workspace import Workspace
from vitreous.golden.machine import Machine
from vitreous.models import LoadedModel, VisionTransformer, ViTConfig
from vitreous.models.synthetic import images, randomize
from vitreous.reports import Report
from vitreous.sim.run import runtime
from vitreous.spec.config import AcceleratorConfig, ScheduleConfig, load_accelerator
from vitreous.spec.graph.widths import WidthReason
from vitreous.spec.images import ImageOrigin
from vitreous.spec.isa import COUNTERS
from vitreous.spec.program import Program
from vitreous.spec.work import work

CONFIG = load_accelerator("edge64")


def with_probabilities(bits: int) -> AcceleratorConfig:
    return dataclasses.replace(CONFIG, softmax=dataclasses.replace(CONFIG.softmax, probability_bits=bits))


def tiny_model(seed: int = 1, *, labels: bool = True) -> LoadedModel:
    config = ViTConfig(
        image_size=8, patch_size=4, in_channels=1, num_classes=3, dim=8, depth=1, heads=2, mlp_ratio=2
    )
    module = VisionTransformer(config).eval()
    randomize(module, seed)
    data = images(6, (1, 8, 8), seed)
    return LoadedModel(
        name="tiny",
        module=module,
        input_shape=(1, 8, 8),
        calibration=data[:4],
        test_images=data[3:],
        test_labels=torch.tensor([0, 1, 2]) if labels else None,
        mean=(0.0,),
        std=(1.0,),
        source="random, for tests",
        classes=3,
        calibration_source="4 synthetic images",
        test_source="3 synthetic images",
        calibration_origin=ImageOrigin.SYNTHETIC,
        test_origin=ImageOrigin.SYNTHETIC,
    )


class FakeSimulation:
    """Stands for ``sim.run.runtime.simulate``: windows from the functional machine, invented counters."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, int]] = []
        self.spoil: Callable[[Program, np.ndarray], None] = lambda program, window: None

    def __call__(
        self,
        program: Program,
        inputs: Sequence[np.ndarray],
        config: AcceleratorConfig,
        *,
        folder: Path,
        **_: Any,
    ) -> runtime.SimulationRun:
        self.calls.append((program.observed, len(inputs)))
        folder.mkdir(parents=True, exist_ok=True)
        asked = work(program.instructions, config)
        busy = asked["array_busy"]
        counters = {
            **dict.fromkeys((name for name, _ in COUNTERS), 0),
            "cycles": 2 * busy,
            **{name: asked[name] for name in ("array_busy", "load_beats", "store_beats")},
        }
        done = []
        for index, image in enumerate(inputs):
            window = Machine(config).run(program, image).window
            self.spoil(program, window)
            np.save(folder / f"window-{index:04d}.npy", window)
            done.append(
                runtime.ImageRun(
                    index=index, window=window, counters=counters, seconds=0.5, simulated_cycles=2 * busy
                )
            )
        build = SimpleNamespace(folder=folder, seconds=3.0, cached=False, waves=False)
        return runtime.SimulationRun(images=tuple(done), build=build, seconds=1.0, folder=folder)  # type: ignore[arg-type]


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSimulation:
    fake = FakeSimulation()
    monkeypatch.setattr(runtime, "simulate", fake)
    made = tmp_path / "made"
    made.mkdir()
    (made / "done.json").write_text('{"seconds": 3.0}')
    build = SimpleNamespace(folder=made, seconds=3.0, cached=False, waves=False)
    monkeypatch.setattr(steps, "build_simulator", lambda *words, **named: build)

    def write_rtl(config: AcceleratorConfig, folder: Path, *, build: object) -> list[Path]:
        folder.mkdir(exist_ok=True)
        (folder / "accelerator.v").write_text(config.digest)
        return [folder / "accelerator.v"]

    monkeypatch.setattr(steps, "write_rtl", write_rtl)  # the real one takes seconds
    return fake


def run(out: Path, **named: Any) -> Report:
    model = named.pop("model", None) or tiny_model()
    return flow.run(
        model, named.pop("config", CONFIG), out=out, images=named.pop("images", 2), quiet=False, **named
    )


def test_a_run_leaves_its_files_and_a_report(
    simulation: FakeSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(tmp_path / "out")
    for name in ("graph.safetensors", "program.safetensors", "program.lst", "observed.safetensors", "rtl"):
        assert (tmp_path / "out" / name).exists(), name
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert data["values_compared"] == report.values_compared > 2 * 3
    assert (data["values_different"], data["bytes_different"], data["equal"]) == (0, 0, True)
    assert data["images_simulated"] == 2
    assert data["accuracy_int"] in (0, 1 / 3, 2 / 3, 1)
    assert data["build_original_seconds"] == 3
    assert simulation.calls == [(False, 2), (True, 2)]
    out = capsys.readouterr().out
    assert "values compared, 0 differ" in out
    assert "tiny on edge64: equal to golden" in out
    assert not list((tmp_path / "out").rglob("*.partial"))


def stages(out: str) -> dict[str, bool]:
    """Stage: whether it was skipped, from the lines of a run."""
    named = ("quantize", "compile", "compile, observed", "rtl", "compare with golden", "accuracy")
    lines = {name: line for name in named for line in out.splitlines() if line.startswith(name + "  ")}
    assert set(lines) == set(named)
    return {name: "unchanged" in line for name, line in lines.items()}


@pytest.mark.slow
def test_a_repeated_run_does_only_what_changed(
    simulation: FakeSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    first = run(out)
    assert not any(stages(capsys.readouterr().out).values())
    again = run(out)
    assert dataclasses.replace(again, simulate_seconds=first.simulate_seconds) == first
    assert all(stages(capsys.readouterr().out).values())
    # A damaged product is made again, and what depends on it only when it came out different.
    program = out / "program.safetensors"
    whole = program.read_bytes()
    program.write_bytes(whole[:-1])
    run(out)
    redone = stages(capsys.readouterr().out)
    assert [name for name, skipped in redone.items() if not skipped] == ["compile"]
    assert program.read_bytes() == whole
    # Other weights change everything but the hardware.
    run(out, model=tiny_model(seed=2))
    redone = stages(capsys.readouterr().out)
    assert [name for name, skipped in redone.items() if skipped] == ["rtl"]
    # Another schedule changes the programs, and the description beside the Verilog, which names it.
    schedule = ScheduleConfig(double_buffer=False, fused_attention=False)
    serial = dataclasses.replace(CONFIG, schedule=schedule)
    flow.run(tiny_model(seed=2), serial, out=out, images=2, quiet=False)
    redone = stages(capsys.readouterr().out)
    assert [name for name, skipped in redone.items() if skipped] == ["quantize", "accuracy"]


@pytest.mark.slow
def test_the_width_of_probabilities_is_shown_and_can_be_given(
    simulation: FakeSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, wide = tmp_path / "out", with_probabilities(16)
    first = run(out, config=wide)
    text = capsys.readouterr().out
    assert (
        "probabilities: 8 bits in the attention; relative error of the network's output on 4 calibration"
        in text
    )
    (found,) = first.attention
    assert (found.layer, found.keys, found.probability_bits) == ("blocks.0.attn", 5, 8)
    assert [width.cycles for width in found.widths] == [2 * 2 * 4, 2 * 2 * 2 * 4]
    assert all(width.rounding is not None and 0 < width.rounding < 1 / 128 for width in found.widths)
    assert all(width.error is not None and width.error > 0 for width in found.widths)
    choice = first.probabilities
    assert choice is not None
    assert choice.reason is WidthReason.MEASURED
    assert choice.errors.chosen == choice.errors.narrow
    second = run(out, config=wide, options=Options(probability_bits=16))
    text = capsys.readouterr().out
    assert "probabilities: 16 bits in the attention, as given; " in text
    assert [name for name, skipped in stages(text).items() if skipped] == ["rtl"]
    assert second.attention[0].probability_bits == 16
    assert second.equal
    data = json.loads((out / "report.json").read_text())
    assert data["attention"][0]["widths"][1]["bits"] == 16
    assert data["probabilities"]["reason"] == "given"
    third = run(tmp_path / "narrow", config=with_probabilities(8))
    assert "8 bits in the attention, the machine has no other; " in capsys.readouterr().out
    assert third.probabilities is not None
    assert third.probabilities.errors.wide is None


@pytest.mark.slow
@pytest.mark.parametrize("observed", [False, True])
def test_one_wrong_bit_is_found_and_named(
    observed: bool, simulation: FakeSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoil(program: Program, window: np.ndarray) -> None:
        if program.observed == observed:
            window[program.placements[0].offset] ^= 1

    simulation.spoil = spoil
    report = run(tmp_path / "out")
    assert not report.equal
    assert report.values_different == 2
    assert report.bytes_different == (0 if observed else 2)
    assert "DIFFERS from golden: " in capsys.readouterr().out
    assert "Differs from golden" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.slow
def test_many_stored_bytes_are_observed_for_one_image_only(
    simulation: FakeSimulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "OBSERVED_LIMIT", 100)
    report = run(tmp_path / "out")
    assert simulation.calls == [(False, 2), (True, 1)]
    assert [check.images for check in report.checks] == [2, 1, 2]


@pytest.mark.slow
def test_without_labels_accuracy_is_null_with_a_reason(simulation: FakeSimulation, tmp_path: Path) -> None:
    report = run(tmp_path / "out", model=tiny_model(labels=False))
    assert (report.accuracy_float, report.accuracy_int) == (None, None)
    assert report.accuracy_note == "the test images have no labels"
    assert report.agreement is not None


def test_more_images_than_there_are_is_refused(simulation: FakeSimulation, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="tiny has 3 test images; 4 were asked for"):
        run(tmp_path / "out", images=4)


def test_two_runs_in_one_folder_are_refused(simulation: FakeSimulation, tmp_path: Path) -> None:
    with (
        Workspace(tmp_path / "out").locked(),
        pytest.raises(RunError, match=r"Another run is working in .*out"),
    ):
        run(tmp_path / "out")


def test_equal_models_have_equal_digests_and_others_do_not() -> None:
    assert steps.model_digest(tiny_model()) == steps.model_digest(tiny_model())
    assert steps.model_digest(tiny_model()) != steps.model_digest(tiny_model(seed=2))
    relabelled = tiny_model(labels=False)
    assert steps.model_digest(tiny_model()) != steps.model_digest(relabelled)


def test_images_that_are_not_finite_are_refused() -> None:
    model = tiny_model()
    graph = steps.quantize(model, CONFIG, calibration_images=1)
    images = model.test_images.numpy().copy()
    assert steps.inputs_of(graph, images).dtype == np.int8
    images[0, 0, 3, 3] = np.nan
    with pytest.raises(RunError, match="Images must be finite"):
        steps.inputs_of(graph, images)
