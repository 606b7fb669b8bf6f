"""What ``quantize`` takes ``run`` takes: whole runs of models and images as libraries and users hand them over."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vitreous
from tests.models.test_door import (
    IMAGES,
    Classes,
    Fields,
    Keyword,
    Named,
    Nested,
    Net,
    OwnType,
    Second,
    Single,
)
from tests.support.explore import tiny
from tests.vitreous.flow.test_pipeline import FakeSimulation, simulation
from tests.vitreous.test_cli import command
from vitreous.flow import run as flow
from vitreous.flow.accelerator import load_accelerator
from vitreous.flow.display import Display
from vitreous.flow.options import Options
from vitreous.models.synthetic import images
from vitreous.spec.config import AcceleratorConfig

__all__ = ["simulation"]

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
FORMS: dict[str, Callable[[], Any]] = {
    "dict": lambda: (Named(), IMAGES),
    "tuple": lambda: (Single(), IMAGES),
    "gradient": lambda: (Net(), nn.BatchNorm2d(1)(IMAGES)),
    # Each of these failed in `run` while `quantize` took it, or in both.
    "object": lambda: (Fields(), IMAGES),
    "exported": lambda: (torch.export.export(Named(), (IMAGES[:1],)), IMAGES),
    "nested": lambda: (Nested(), IMAGES),
    "classes": lambda: (Classes(lambda logits: logits.softmax(-1).argmax(-1)), IMAGES),
    "keyword": lambda: (Keyword(), IMAGES),
    "pixel_values": lambda: (Second(), IMAGES),
    "bfloat16": lambda: (OwnType().bfloat16(), IMAGES.bfloat16()),
    "float64": lambda: (Net().double(), IMAGES.double()),
    "arrays": lambda: (Net(), IMAGES.numpy(), IMAGES.numpy(), LABELS.numpy()),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_whole_run_of_every_form(form: str, simulation: FakeSimulation, tmp_path: Path) -> None:
    report = vitreous.run(FORMS[form](), "edge64", out=tmp_path / "out", quiet=True)
    assert report.equal
    assert report.agreement is not None
    assert report.agreement > 0.6


@pytest.mark.slow
def test_data_is_part_of_what_a_run_was_made_from(
    simulation: FakeSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def again(labels: Tensor) -> vitreous.Report:
        np.savez(tmp_path / "test.npz", images=IMAGES.numpy(), labels=labels.numpy())
        return vitreous.run(
            (Net(), IMAGES), "edge64", test=tmp_path / "test.npz", out=tmp_path / "out", quiet=False
        )

    report = again(LABELS)
    text = capsys.readouterr().out
    assert f"  test:        {tmp_path / 'test.npz'}: 6 images\n" in text
    assert "95 % interval" in text
    assert report.accuracy_test is not None
    assert (report.accuracy_test.origin, report.accuracy_images) == ("given", 6)
    assert "accuracy               unchanged" not in text
    again(LABELS)
    assert [
        line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.startswith("accuracy ")
    ] == [["accuracy", "unchanged"]]
    other = again(LABELS.flip(0))
    assert "\naccuracy               unchanged" not in capsys.readouterr().out
    assert other.accuracy_images == 6


@pytest.mark.slow
def test_images_that_say_little_are_marked(
    simulation: FakeSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = vitreous.run((Net(), IMAGES), "edge64", out=tmp_path / "own", quiet=False)
    assert report.accuracy_caution == ("calibration's own images: they flatter",)
    assert "! calibration's own images: give others with --test DATA" in capsys.readouterr().out
    assert "Calibration&#39;s own images: they flatter." in (tmp_path / "own" / "index.html").read_text()
    net = Net()
    net.input_shape = (1, 8, 8)
    report = vitreous.run(net, "edge64", out=tmp_path / "none", quiet=False)
    assert report.accuracy_caution == (
        "synthetic images: they say nothing about accuracy",
        "calibrated on synthetic images",
    )
    assert "! synthetic: give your own with --calibration DATA" in capsys.readouterr().out


@pytest.mark.slow
def test_without_a_folder_a_run_works_in_one_of_its_names(
    simulation: FakeSimulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(load_accelerator("edge64"), name="../my own")
    vitreous.run((Net(), IMAGES), config, quiet=True)
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["Net-my-own"]


@pytest.mark.slow
def test_a_plan_says_what_a_repeated_run_would_do(simulation: FakeSimulation, tmp_path: Path) -> None:
    def plan(**named: Any) -> dict[str, str]:
        prepared = flow.prepare(
            (Net(), IMAGES),
            "edge64",
            data=flow.Data(),
            out=tmp_path / "out",
            options=Options(**named),
            display=Display(quiet=True),
        )
        return dict(prepared.plan())

    assert set(plan().values()) == {"to do", "asked"}
    assert not (tmp_path / "out").exists()
    vitreous.run((Net(), IMAGES), "edge64", out=tmp_path / "out", quiet=True)
    done = plan()
    assert (done["quantize"], done["compile"], done["accuracy"]) == ("unchanged",) * 3
    other = plan(observer="minmax")
    assert (other["quantize"], other["compile"], other["rtl"]) == ("to do", "to do", "unchanged")


def test_an_accelerator_is_a_name_a_file_a_dictionary_or_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[array]\nlanes = 4\n")
    made = AcceleratorConfig.from_dict({"name": "mine", "array": {"lanes": 4}})
    assert load_accelerator(path) == load_accelerator(str(path)) == load_accelerator(made) == made
    assert load_accelerator({"name": "mine", "array": {"lanes": 4}}) == made
    with pytest.raises(vitreous.VitreousError, match="Unknown field array.lane; .*did you mean 'lanes'"):
        load_accelerator({"array": {"lane": 4}})
    with pytest.raises(vitreous.VitreousError, match="An accelerator is a name, .*, not int"):
        load_accelerator(7)  # type: ignore[arg-type]


def test_objects_say_in_one_line_what_matters(simulation: FakeSimulation, tmp_path: Path) -> None:
    report = vitreous.run((Net(), IMAGES), "edge64", out=tmp_path / "out", quiet=True)
    graph = vitreous.quantize((Net(), IMAGES), "edge64", quiet=True)
    shown = [repr(x) for x in (report, graph, vitreous.compile(graph, load_accelerator("edge64")))]
    shown += [repr(vitreous.load_model((Net(), IMAGES))), repr(load_accelerator("edge64"))]
    for text in shown:
        assert text.startswith("<")
        assert "\n" not in text
        assert len(text) < 320
    assert shown[0].startswith(
        "<Report Net on edge64: outputs equal to golden; accuracy unknown; same class as"
    )
    assert shown[1].startswith("<Graph Net: [1, 8, 8], ")
    assert report._repr_html_().startswith("<table><caption>Net on edge64</caption><tr><th")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["model"] == "Net"


def test_the_command_gives_one_document(
    simulation: FakeSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "test.npz", images=images(5, (1, 8, 8), 9).numpy(), labels=np.arange(5) % 4)
    words = ("run", tiny.MODEL, "-a", "edge64", "--test", tmp_path / "test.npz", "--out", tmp_path / "out")
    result = command(*words, "--json", capsys=capsys)
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert (found["command"], found["equal"], found["accuracy_images"]) == ("run", True, 5)
    assert found["test"] == {"origin": "given", "source": f"{tmp_path / 'test.npz'}: 5 images"}
    assert found["folder"] == str(tmp_path / "out")
    assert "compare with golden" in result.err
    silent = command(*words, "--quiet", capsys=capsys)
    assert (silent.status, silent.out, silent.err) == (0, "", "")
