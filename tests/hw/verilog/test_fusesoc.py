"""The core as FuseSoC takes it: every target of the real program, and the bench, which must be able to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hw.programs import relay_config
from vitreous import __version__
from vitreous.hw import verilog
from vitreous.sim.run import toolchain

CORE = f"vitreous:accelerator:custom:{__version__}"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    verilog.write_core(relay_config(), folder, version=__version__, clock_mhz=250.0)
    return folder


def fusesoc(core: Path, work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Its own tools and no settings of the user's; output and errors together."""
    command = [str(Path(sys.executable).parent / "fusesoc"), "--cores-root", str(core), *words]
    environment = {**toolchain.environment(), "XDG_CONFIG_HOME": str(work), "XDG_DATA_HOME": str(work)}
    return subprocess.run(
        command,
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_core_is_found_by_its_version(core: Path, tmp_path: Path) -> None:
    listed = fusesoc(core, tmp_path, "core", "show", CORE)
    assert listed.returncode == 0, listed.stdout
    assert f"configuration {relay_config().digest}" in listed.stdout
    for target in ("default", "lint", "sim", "sim_icarus", "synth"):
        assert target in listed.stdout


@pytest.mark.slow
@pytest.mark.parametrize("target", ["lint", "sim"])
def test_verilator_runs_the_target(core: Path, tmp_path: Path, target: str) -> None:
    run = fusesoc(core, tmp_path, "run", "--target", target, CORE)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "Warning" not in run.stdout
    assert ("PASS: 128 bytes equal" in run.stdout) == (target == "sim")


@pytest.mark.slow
def test_icarus_runs_the_target_and_a_wrong_byte_fails(core: Path, icarus: str, tmp_path: Path) -> None:
    run = fusesoc(core, tmp_path, "run", "--target", "sim_icarus", CORE)
    assert run.returncode == 0, run.stdout
    assert "PASS: 128 bytes equal" in run.stdout
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for path in core.iterdir():
        (wrong / path.name).write_text(path.read_text())
    lines = (core / "accelerator_expected.hex").read_text().splitlines()
    lines[3] = f"{int(lines[3], 16) ^ 1:02x}"
    (wrong / "accelerator_expected.hex").write_text("\n".join(lines))
    run = fusesoc(wrong, wrong, "run", "--target", "sim_icarus", CORE)
    assert run.returncode != 0
    assert "FAIL: byte 3 is" in run.stdout


@pytest.mark.slow
def test_vivado_gets_a_project_with_a_clock(core: Path, tmp_path: Path) -> None:
    """Only set up: there is no Vivado here."""
    run = fusesoc(core, tmp_path, "run", "--setup", "--target", "synth", CORE)
    assert run.returncode == 0, run.stdout
    (script,) = (path for path in tmp_path.rglob("*.tcl") if "create_project" in path.read_text())
    project = script.read_text()
    for line in (
        "set_property part xck26-sfvc784-2LV-c [current_project]",
        "accelerator.v}",
        "accelerator_memories.v}",
        "accelerator.xdc}",
        "set_property top accelerator [current_fileset]",
    ):
        assert line in project
    (constraints,) = tmp_path.rglob("accelerator.xdc")
    assert "create_clock -period 4.000 -name clk [get_ports clk]" in constraints.read_text()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": "0-1a2b"}, "must be numbers with dots between them, not '0-1a2b'"),
        ({"clock_mhz": 0.0}, "The clock must be a positive number of MHz, not 0.0"),
        ({"top": "8x8"}, "must be letters, digits and _, a letter first, not '8x8'"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    words = {"version": "1.0", "clock_mhz": 200.0, **changes}
    with pytest.raises(verilog.VerilogError, match=sentence):
        verilog.write_core(relay_config(), tmp_path, **words)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []
