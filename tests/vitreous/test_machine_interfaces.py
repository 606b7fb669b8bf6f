"""What scripts and shells use: a JSON document, silence, dry runs, completion, a line in the log of a long stage."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.reports.recorded import record
from tests.vitreous.explore.test_command import TOML
from tests.vitreous.test_cli import COMMANDS, command, refused, tiny_graph
from vitreous.flow import display as shown
from vitreous.flow.display import Display
from vitreous.reports.record import record as records
from vitreous.spec import graph as graphs
from vitreous.spec.config import load_accelerator, named_accelerators


def document(result: SimpleNamespace) -> dict[str, object]:
    assert result.status == 0, result.err
    found: dict[str, object] = json.loads(result.out)
    return found


def test_list_as_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(command("list", "--json", capsys=capsys))
    assert found["command"] == "list"
    assert {entry["name"] for entry in found["accelerators"]} == set(named_accelerators())  # type: ignore[index,union-attr]
    quiet = command("list", "--quiet", capsys=capsys)
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.slow
def test_fit_as_a_document(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    planned = document(command("fit", "fashion-vit", "--out", out, "--dry-run", "--json", capsys=capsys))
    assert planned["dry_run"] is True
    assert not out.exists()
    found = document(command("fit", "fashion-vit", "--out", out, "--json", capsys=capsys))
    assert found["accelerator"] == load_accelerator(str(out)).as_dict() | {"name": "fit"}
    assert "fashion-vit" in str(found["reason"])
    quiet = command("fit", "fashion-vit", "--out", out, "--quiet", capsys=capsys)
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")


def test_report_as_a_document(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    records.save(record(), tmp_path)
    found = document(command("report", tmp_path, "--json", capsys=capsys))
    (page,) = found["pages"]  # type: ignore[misc]
    assert Path(page["page"]).is_file()
    assert json.loads(Path(page["data"]).read_text())["model"] == "two-layers"


def test_a_dry_run_writes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    graph = graphs.save(tiny_graph(), tmp_path / "graph.safetensors")
    (tmp_path / "small.toml").write_text(TOML)
    before = sorted(path.name for path in tmp_path.iterdir())
    for words in (
        ("compile", graph, "-a", "edge64", "--out", tmp_path / "p.safetensors"),
        ("rtl", "-a", "edge64", "--out", tmp_path / "rtl"),
        ("quantize", "rms-silu-vit", "-a", "examples/silu64.toml", "--out", tmp_path / "g.safetensors"),
        ("run", "rms-silu-vit", "-a", "examples/silu64.toml", "--out", tmp_path / "out"),
        ("explore", tmp_path / "small.toml", "--out", tmp_path / "space"),
        ("ablate", "rms-silu-vit", "-a", "examples/silu64.toml", "--out", tmp_path / "ablation"),
        ("area", "-a", "edge64", "--quick"),
    ):
        found = document(command(*words, "--dry-run", "--json", "--quiet", capsys=capsys))
        assert found["dry_run"] is True
        assert found["steps"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_dry_run_refuses_what_the_run_would(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("run", "rms-silu-vit", "--images", "9", "--out", tmp_path / "out", "--dry-run", "--quiet")
    assert refused(*words, capsys=capsys) == "rms-silu-vit has 8 test images; 9 were asked for"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "list"])
def test_every_command_has_the_three_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = command(name, "--help", capsys=capsys).out
    assert all(option in text for option in ("--json", "--quiet", "--dry-run"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run fashon-vit", "did you mean 'fashion-vit'?"),
        ("rtl -a edge265 --out x", "did you mean 'edge256'?"),
        ("rtl -a edge64 --target ultrascale --out x", "did you mean 'ultrascale-plus'?"),
        ("run fashion-vit --observer mx", "observer must be one of"),
        ("run fashion-vit --technology asic-28", "did you mean 'asic-28nm'?"),
        ("run fashion-vit --dram lpdr4", "did you mean 'lpddr4'?"),
        ("run fashion-vit --image 3", "--images"),
        ("compil x", "compile"),
    ],
)
@pytest.mark.usefixtures("here")
def test_near_misses_get_a_suggestion(words: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence in refused(*words.split(), capsys=capsys)


def test_the_shell_completes_names() -> None:
    environment = {
        **os.environ,
        "_VITREOUS_COMPLETE": "complete_bash",
        "COMP_WORDS": "vitreous rtl --accelerator edge2",
        "COMP_CWORD": "3",
    }
    words = [sys.executable, "-m", "vitreous.cli"]
    result = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert result.stdout.split() == ["edge256"], result.stderr


def test_a_long_stage_says_that_it_lives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "HEARTBEAT_SECONDS", 0.02)
    with Display().stage("quantize") as stage:
        stage.part("calibrate", 3, 8)
        time.sleep(0.2)
    captured = capsys.readouterr()
    assert "... quantize: calibrate, 3 of 8; 0 s\n" in captured.err
    assert captured.out.startswith("quantize ")
    with Display(aside=True).stage("compile"):
        pass
    captured = capsys.readouterr()
    assert (captured.out, captured.err.startswith("compile ")) == ("", True)
    with Display(quiet=True).stage("silent"):
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")


def test_progress_is_shown_where_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not shown.somebody_watches()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert shown.somebody_watches()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    notebook = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", notebook)  # type: ignore[arg-type]
    assert shown.somebody_watches()
