"""`vitreous explore` as a person gives it: files, lines, refusals."""

import csv
from pathlib import Path

import pytest

from tests.support.explore import tiny
from tests.vitreous.test_cli import command, refused
from vitreous.reports.exploration.exploration import load
from vitreous.spec.config import load_accelerator

TOML = f"""
models = ["{tiny.MODEL}"]
accelerator = "edge64"
objectives = ["latency", "area", "accuracy"]
technology = {{ name = "fpga-ultrascale-plus", dram = "ddr4", clock_mhz = 150 }}
[space]
"array.lanes" = [4, 8]
"memory.activation_kib" = [1, 16]
"quantization.observer" = ["mse", "minmax"]
"quantization.calibration_images" = 2
"""


@pytest.mark.slow
def test_a_small_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.toml").write_text(TOML)
    words = ("explore", tmp_path / "small.toml", "--confirm", "0", "--out", tmp_path / "out")
    first = command(*words, "--points", "3", capsys=capsys)
    assert first.status == 0, first.err
    assert "3 points, 3 within the limits" in first.out
    again = command(*words, "--points", "8", capsys=capsys)
    assert "(8 were asked for; no more were found)" in again.out

    found = load(tmp_path / "out")
    (searched,) = found.searches
    assert searched.measured_on == "agreement with the float model on 4 test images without labels"
    refusals = [point.refusal for point in searched.points if not point.feasible]
    assert searched.estimated + len(refusals) == found.combinations == 8
    assert all("X, the activation memory, needs" in refusal for refusal in refusals)
    rows = list(csv.DictReader((tmp_path / "out" / "points.csv").open()))
    assert len(rows) == 8
    assert sum(row["front"] == "1" for row in rows) == len(searched.front) > 0
    assert "| point | array.lanes |" in (tmp_path / "out" / "exploration.md").read_text()
    for name in ("exploration.json", "front.svg", "front.png", "study.db"):
        assert (tmp_path / "out" / name).stat().st_size > 1000
    for out in (first.out, again.out):
        assert f"optuna-dashboard sqlite:///{tmp_path / 'out' / 'study.db'}" in out
    page = (tmp_path / "out" / "exploration.html").read_text()
    files = sorted((tmp_path / "out" / "points").iterdir())
    assert len(files) == len(searched.front)
    for point in searched.front:
        path = tmp_path / "out" / "points" / f"{point.number}.toml"
        assert f'href="points/{path.name}"' in page
        assert {**load_accelerator(str(path)).as_dict(), "name": ""} == {**(point.config or {}), "name": ""}
        assert f"vitreous run {tiny.MODEL} --accelerator {path}" in path.read_text()
        assert (
            f" --calibration-images 2 --observer {point.settings['quantization.observer']} "
            in path.read_text()
        )
    (tmp_path / "small.toml").write_text(TOML.replace("[4, 8]", "[4, 8, 16]"))
    assert "holds an exploration of another space" in refused(*words, capsys=capsys)


def test_refusals_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.toml"
    for text, sentence in (
        (TOML.replace("[4, 8]", "[4, 7]"), "array.lanes must be one of 4, 8, 16, 32, not 7"),
        (
            TOML.replace('images" = 2', 'images" = 9'),
            "is more than the 4 images of tests.support.explore.tiny:model",
        ),
        (TOML.replace(tiny.MODEL, "nobody"), "unknown model 'nobody'"),
    ):
        space.write_text(text)
        assert sentence in refused("explore", space, "--out", tmp_path / "out", capsys=capsys)
    assert not (tmp_path / "out").exists()
