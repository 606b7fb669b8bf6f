"""The whole way on the real simulator: a user's own model and accelerator, by command line and from Python."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest

import vitreous
from tests.support.tree import ROOT
from vitreous import cli

BUILDS = ROOT / "build" / "sim"

MODEL = """
from vitreous.models import VisionTransformer, ViTConfig
from vitreous.models.synthetic import images, randomize

def make():
    config = ViTConfig(image_size=12, patch_size=4, in_channels=1, num_classes=5, dim=12, depth=2, heads=2)
    model = VisionTransformer(config)
    randomize(model, 5)
    return model, images(4, (1, 12, 12), 3)
"""
ACCELERATOR = """
[array]
lanes = 4
depth = 2
[memory]
activation_kib = 8
weight_kib = 8
residual_kib = 8
parameter_entries = 256
score_keys = 64
"""


def vitreous_command(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(word) for word in words])
    return int(str(leaving.value.code))


@pytest.mark.slow
def test_a_users_model_on_a_users_accelerator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "users_model.py").write_text(MODEL)
    (tmp_path / "mine.toml").write_text(ACCELERATOR)
    run = (
        "run",
        "users_model:make",
        "-a",
        "mine.toml",
        "--images",
        "2",
        "--build-dir",
        BUILDS,
        "--out",
        "out",
    )
    assert vitreous_command(*run) == 0
    first = capsys.readouterr().out
    assert "equal to golden" in first
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["images_simulated"], report["values_different"], report["bytes_different"]) == (2, 0, 0)
    macs, cycles = report["macs_per_image"], report["cycles_per_image"]
    assert report["utilization"] == pytest.approx(macs / (cycles * 4 * 4 * 2))
    assert 0 < report["utilization"] < report["occupancy"] < 1
    assert (report["accuracy_int"], report["agreement"] is None) == (None, False)
    assert sum(row["cycles"] for row in report["stalls"]) == report["counters"][0]["cycles"]
    assert sum(row["macs"] for row in report["layers"]) == macs
    counters, moved = report["counters"], report["dram_bytes"]
    busy = sum(image["array_busy"] for image in counters) / sum(image["cycles"] for image in counters)
    assert report["occupancy"] == pytest.approx(busy)
    assert moved["read"] == 8 * (counters[0]["load_beats"] + counters[0]["fetch_beats"])
    assert moved["written"] == 8 * counters[0]["store_beats"]
    assert sum(row["read"] + row["written"] for row in moved["tensors"]) == moved["read"] + moved["written"]
    assert 0 < moved["minimum"] < moved["read"]
    # Again: nothing is done again and the figures are the same.
    assert vitreous_command(*run) == 0
    again = capsys.readouterr().out
    assert again.count("unchanged") == 9
    repeated = json.loads((tmp_path / "out" / "report.json").read_text())
    for name in ("build_seconds", "build_cached"):
        report.pop(name), repeated.pop(name)
    assert repeated == report
    # The same files serve the single commands.
    inputs = np.load(tmp_path / "out" / "simulate" / "window-0000.npy")
    words = ("simulate", "out/program.safetensors", "--model", "users_model:make", "--count", "1")
    assert vitreous_command(*words, "--build-dir", BUILDS, "--out", "alone", "--memory-latency", "90") == 0
    assert np.array_equal(np.load(tmp_path / "alone" / "simulate" / "window-0000.npy"), inputs)
    assert np.load(tmp_path / "alone" / "outputs.npy").shape == (1, 1, 5)
    assert vitreous_command("report", "alone") == 0
    alone = json.loads((tmp_path / "alone" / "report.json").read_text())
    assert alone["values_compared"] == 5
    assert alone["counters"][0]["cycles"] > report["counters"][0]["cycles"]


def test_public_names_are_sorted_and_there() -> None:
    assert vitreous.__all__ == sorted(vitreous.__all__)
    for name in vitreous.__all__:
        assert getattr(vitreous, name) is not None
    assert set(vitreous.__all__) <= set(dir(vitreous))
    with pytest.raises(AttributeError, match="module 'vitreous' has no attribute 'nothing'"):
        _ = vitreous.nothing


def test_python_in_the_readme_and_the_examples_is_valid() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert blocks
    assert len(blocks[0].strip().splitlines()) < 10
    sources = [*blocks, *(path.read_text() for path in sorted((ROOT / "examples").glob("*.py")))]
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "vitreous"
            ):
                assert node.attr in vitreous.__all__, node.attr


def test_commands_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text()
    lines = text.splitlines()
    assert lines[2] == "```sh"
    assert [line.split("  ")[0] for line in lines[3:5]] == ["make demo", "make test"]
    used = set(re.findall(r"^(?:\$ )?(?:\.venv/bin/)?vitreous ([\w-]+)", text, flags=re.MULTILINE))
    assert used
    commands = {command.name for command in cli.app.registered_commands}
    assert used <= commands, used - commands
    tasks = set(re.findall(r"make ([a-z]+)(?=[ `\n])", text)) - {"it", "the", "a", "perl"}
    known = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)) | {
        "lint"
    }
    assert tasks <= known, tasks - known
