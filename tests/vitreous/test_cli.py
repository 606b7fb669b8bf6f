"""The command line: what it prints, what it writes, and that every error is one line and exit status 2."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.reports.recorded import record, record_data
from vitreous import cli
from vitreous.flow import comparison
from vitreous.models.names import NAMES
from vitreous.reports.energy.technology import (
    DEFAULT_DRAM,
    DEFAULT_TECHNOLOGY,
    named_drams,
    named_technologies,
)
from vitreous.reports.record import record as records
from vitreous.spec import graph as graphs
from vitreous.spec import program as programs
from vitreous.spec.config import load_accelerator, named_accelerators
from vitreous.spec.graph import Graph, Node, Op, Tensor
from vitreous.spec.isa import Opcode, make
from vitreous.spec.program import Program

COMMANDS = ["list", "quantize", "compile", "rtl", "simulate", "report", "run", "explore", "explore-approx"]


def command(*words: str | Path, capsys: pytest.CaptureFixture[str]) -> SimpleNamespace:
    """Run the command line in this process: ``status``, ``out``, ``err``."""
    with pytest.raises(SystemExit) as leaving:
        cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return SimpleNamespace(status=leaving.value.code, out=captured.out, err=captured.err)


def refused(*words: str | Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of an error, without its prefix."""
    result = command(*words, capsys=capsys)
    assert result.status == 2
    assert result.err.count("\n") == 1
    assert result.err.startswith("vitreous: ")
    assert "Traceback" not in result.err
    return str(result.err[len("vitreous: ") : -1])


def tiny_graph() -> Graph:
    nodes = (
        Node(op=Op.INPUT, name="input", outputs=("image",)),
        Node(op=Op.OUTPUT, name="output", inputs=("image",), outputs=("result",)),
    )
    tensors = {
        name: Tensor(name=name, dtype="int8", shape=(1, 4, 4), scale=0.5) for name in ("image", "result")
    }
    return Graph(name="identity", nodes=nodes, tensors=tensors)


def tiny_program() -> Program:
    config = load_accelerator("edge64")
    end = make(Opcode.END)
    image = np.zeros(64 + 128, np.uint8)
    image[:32] = np.frombuffer(end.encode(), np.uint8)
    return Program(
        graph_name="identity",
        config_digest=config.digest,
        config=config.as_dict(),
        instructions=(end,),
        image=image,
        program_offset=0,
        input_offset=64,
        input_shape=(1, 4, 4),
        write_size=64,
        placements=(),
        output_tensor="result",
        macs=0,
    )


def test_list_shows_models_and_accelerators(capsys: pytest.CaptureFixture[str]) -> None:
    result = command("list", capsys=capsys)
    assert result.status == 0
    for name in (*NAMES, *named_accelerators()):
        assert f"  {name} " in result.out
    assert "256 MAC a cycle as 8x8x4, 544 KiB on chip, 64-bit bus" in result.out


def test_list_shows_technologies_and_their_default(capsys: pytest.CaptureFixture[str]) -> None:
    text = command("list", capsys=capsys).out
    for name in named_technologies():
        assert f"  {name} " in text
    (line,) = [line for line in text.splitlines() if ", the default" in line]
    assert line.split()[0] == DEFAULT_TECHNOLOGY
    assert f"DRAM: {', '.join(named_drams())}; default {DEFAULT_DRAM}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_names_real_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = command(name, "--help", capsys=capsys)
    assert result.status == 0
    assert "Example" in result.out
    examples = [line.split() for line in result.out.splitlines() if line.startswith(f"    vitreous {name}")]
    assert examples
    for words in examples:
        for word in words:
            assert not word.startswith("-") or f" {word} " in result.out.replace(",", " "), word


@pytest.mark.parametrize("name", ["quantize", "run"])
def test_the_width_of_probabilities_is_checked(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = (name, "fashion-vit", "--probability-bits", "12", "--out", "x.safetensors")
    assert refused(*words, capsys=capsys) == "--probability-bits must be auto, 8 or 16, not '12'"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from vitreous import __version__

    assert command("--version", capsys=capsys).out.strip() == __version__


@pytest.mark.parametrize("words", [["list"], ["--help"], ["run", "--help"], ["report", "none"]])
def test_light_commands_import_no_torch(words: Sequence[str]) -> None:
    code = (
        "import sys\nfrom vitreous import cli\n"
        f"try: cli.main({list(words)!r})\nexcept SystemExit: pass\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("polish", "No such command 'polish'. Did you mean"),
        ("rtl --out x", "Missing option '--accelerator' / '-a'; see `vitreous rtl --help`"),
        (
            "rtl -a edge64 --out x --target ice40",
            "--target must be one of generic, ultrascale-plus, ecp5, not 'ice40'",
        ),
        ("rtl -a edge7 --out x", "Unknown accelerator 'edge7'; named ones are edge1024, "),
        ("run fashion-vit --calibration no.npz", "--calibration no.npz does not exist; give an .npz file"),
        (
            "run fashion-vit --test-images 600",
            "Fashion-MNIST: the first 512 test images: 600 test images were",
        ),
        ("rtl -a none.toml --out x", "Cannot read the accelerator file none.toml: No such file"),
        ("run vgg --out x", "unknown model 'vgg'; known are fashion-vit, deit-tiny, deit-small"),
        ("run fashion-vit --images 0 --out x", "Invalid value for '--images': "),
        ("run fashion-vit --images 513 --out x", "fashion-vit has 512 test images; 513 were"),
        ("quantize fashion-vit --out graph.bin", "--out must end in .safetensors, not 'graph.bin'"),
        ("quantize fashion-vit --observer guess --out g.safetensors", "observer must be one of"),
        (
            "quantize fashion-vit --calibration-images 0 --out g.safetensors",
            "--calibration-images must be at least 1, not 0",
        ),
        (
            "quantize fashion-vit --calibration-images 257 --out g.safetensors",
            "fashion-vit has 256 calibration images; 257 were asked for",
        ),
        ("quantize fashion-vit --checkpoint no.safetensors --out g.safetensors", ""),
        ("compile no.safetensors -a edge64 --out p.safetensors", "no.safetensors does not exist"),
        ("simulate no.safetensors --model fashion-vit --out x", "no.safetensors does not exist"),
        ("simulate p --waves 9:3 --out x", "--waves must be FIRST:LAST in cycles with FIRST below"),
        (
            "run fashion-vit --technology asic-3nm --out x",
            "Unknown technology 'asic-3nm'; named ones are asic-28nm, ",
        ),
        ("run fashion-vit --dram ddr9 --out x", "Unknown DRAM 'ddr9'; named ones are ddr3, "),
        ("report nowhere --technology mine.toml", "Cannot read the technology file mine.toml: No such file"),
        ("report nowhere", "nowhere holds no recorded run: cannot read nowhere/recorded.json"),
    ],
)
def test_errors_are_one_line(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    assert refused(*words.split(), capsys=capsys).startswith(sentence)
    left = [path for path in here.rglob("*") if path.is_file() and path.name != ".lock"]
    assert left == []


def test_a_wrong_field_of_an_accelerator_file_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    for text, sentence in (
        ("[array]\nlanes = 5\n", "array.lanes must be one of 4, 8, 16, 32, not 5"),
        ("[array]\nlances = 4\n", "Unknown field array.lances; the fields are depth, groups, lanes"),
        ("[array\n", f"{path} is not valid TOML: "),
    ):
        path.write_text(text)
        assert refused("rtl", "-a", path, "--out", tmp_path / "x", capsys=capsys).startswith(sentence)


def test_truncated_graph_and_program_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    graph = graphs.save(tiny_graph(), tmp_path / "graph.safetensors")
    graph.write_bytes(graph.read_bytes()[:-3] or b"x")
    words = ("compile", graph, "--accelerator", "edge64", "--out", tmp_path / "p.safetensors")
    assert "graph.safetensors is truncated or not a safetensors file" in refused(*words, capsys=capsys)
    graph.with_suffix(".json").write_text("{")
    assert "graph.json is truncated or not JSON" in refused(*words, capsys=capsys)
    program = programs.save(tiny_program(), tmp_path / "program.safetensors")
    program.write_bytes(program.read_bytes()[:-3])
    sentence = refused("simulate", program, "--model", "fashion-vit", "--out", tmp_path / "x", capsys=capsys)
    assert "program.safetensors is truncated or not a safetensors file" in sentence
    assert not (tmp_path / "p.safetensors").exists()


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((2, 1, 4, 5), np.int8), "Images must have the shape [n, 1, 4, 4], not [1, 1, 4, 5]"),
        (np.zeros((2, 1, 4, 4), np.uint8), "Images must be int8 or normalised floats, not uint8"),
        (np.zeros((0, 1, 4, 4), np.int8), "images.npy has 0 images; 1 were asked for"),
    ],
)
def test_images_that_do_not_fit_are_refused(
    images: np.ndarray, sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = programs.save(tiny_program(), tmp_path / "program.safetensors")
    graphs.save(tiny_graph(), tmp_path / "graph.safetensors")
    np.save(tmp_path / "images.npy", images)
    words = ("simulate", program, "--images", tmp_path / "images.npy", "--out", tmp_path / "x")
    assert sentence in refused(*words, capsys=capsys)


def test_float_images_need_the_graph(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = programs.save(tiny_program(), tmp_path / "program.safetensors")
    np.save(tmp_path / "images.npy", np.zeros((1, 4, 4), np.float32))
    words = ("simulate", program, "--images", tmp_path / "images.npy", "--out", tmp_path / "x")
    assert (
        refused(*words, capsys=capsys) == "Images of type float32 need the integer graph: give --graph FILE"
    )
    sentence = refused("simulate", program, "--out", tmp_path / "x", capsys=capsys)
    assert sentence == "Give the images with one of --images FILE, --model MODEL and --test DATA"
    (tmp_path / "images.npy").write_bytes(b"not an array")
    assert "Cannot read images from" in refused(*words, capsys=capsys)


def test_a_file_in_the_place_of_the_folder_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    sentence = refused("rtl", "-a", "edge64", "--out", tmp_path / "file", capsys=capsys)
    assert sentence == f"{tmp_path / 'file'} is a file; --out must name a folder"


def test_a_missing_compiler_is_said_before_anything_starts(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "perl", "sh"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    environment = {**os.environ, "PATH": str(tools)}
    words = [sys.executable, "-m", "vitreous.cli", "run", "fashion-vit", "--out", str(tmp_path / "out")]
    result = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("vitreous: g++ was not found on PATH")
    assert not (tmp_path / "out").exists()


def test_report_is_written_from_the_record_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    records.save(record(), tmp_path)
    words = ("--clock", "100", "--technology", "asic-7nm", "--dram", "lpddr4")
    result = command("report", tmp_path, *words, capsys=capsys)
    assert result.status == 0
    data = json.loads((tmp_path / "report.json").read_text())
    assert (data["energy"]["technology"], data["energy"]["dram"]) == ("asic-7nm", "lpddr4")
    assert (data["clock_mhz"], data["clock_source"]) == (100, "given")
    assert "two-layers" in (tmp_path / "index.html").read_text()


def test_report_keeps_the_choices_of_the_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = record_data()
    data["choices"] = {"clock_mhz": 125, "technology": "asic-28nm", "dram": "hbm2"}
    records.save(records.from_dict(data), tmp_path)

    def shown(*words: str) -> tuple[float, str, str]:
        assert command("report", tmp_path, *words, capsys=capsys).status == 0
        found = json.loads((tmp_path / "report.json").read_text())
        return found["clock_mhz"], found["energy"]["technology"], found["energy"]["dram"]

    assert shown() == (125, "asic-28nm", "hbm2")
    assert shown("--dram", "lpddr4") == (125, "asic-28nm", "lpddr4")
    assert shown("--clock", "50", "--technology", "asic-7nm") == (50, "asic-7nm", "hbm2")


@pytest.mark.slow
def test_several_runs_are_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    runs = [tmp_path / "one", tmp_path / "two"]
    for run in runs:
        run.mkdir()
        records.save(record(), run)
    result = command("report", *runs, "--out", tmp_path / "both", capsys=capsys)
    assert result.status == 0
    assert all((run / "index.html").is_file() for run in runs)
    assert sorted(p.name for p in (tmp_path / "both").iterdir()) == ["comparison.html", "comparison.json"]
    assert json.loads((tmp_path / "both" / "comparison.json").read_text())["names"] == ["one", "two"]
    assert command("report", runs[0], "--out", tmp_path / "page", capsys=capsys).status == 0
    assert (tmp_path / "page" / "index.html").is_file()
    again = command("report", runs[0], runs[0], capsys=capsys)
    assert (again.status, "not with itself" in again.err) == (2, True)


def test_unexpected_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    records.save(record(), tmp_path)

    def broken(folder: Path) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(records, "load", broken)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        cli.main(["report", str(tmp_path)])


def test_interruption_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "load", interrupted)
    result = command("report", tmp_path, capsys=capsys)
    assert (result.status, result.err.count("\n")) == (130, 1)


def test_differences_are_counted_and_named() -> None:
    tally = comparison.Tally("outputs", "golden.interpreter", "value")
    found = np.arange(6, dtype=np.int8).reshape(2, 3)
    wrong = found.copy()
    wrong[1] += 1
    for expected in (found, wrong):
        tally.count("logits", "head", found, expected)
        tally.image_done()
    check = tally.check()
    assert (check.images, check.compared, check.different) == (2, 12, 3)
    assert comparison.differing([check]) == ["logits (3 of 12 values, outputs)"]
