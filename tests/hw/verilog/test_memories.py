"""The on-chip memories as modules of their own: what they are called, what they have, and others in their place."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.hw.programs import relay_config
from vitreous.hw import verilog
from vitreous.hw.memory.ram import PORTS
from vitreous.hw.verilog.text import leaf_memories, rewrite, split_memories
from vitreous.spec.isa import Memory
from vitreous.spec.layout import memory_words, word_bits


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    verilog.write_core(relay_config(), folder, version="1.0", clock_mhz=200.0, top="tiny")
    return folder


@pytest.mark.slow
def test_every_memory_is_listed_with_its_size(core: Path) -> None:
    config = relay_config()
    listed = json.loads((core / "tiny.json").read_text())["memories"]
    assert sum(memory["instances"] for memory in listed) == len(Memory)
    sizes = {(memory["words"], memory["bits"]) for memory in listed}
    assert sizes == {(memory_words(config, memory), word_bits(config, memory)) for memory in Memory}
    assert {memory["mask_bits"] for memory in listed if memory["bits"] == 8 * config.panel_word_bytes} == {
        8,
        8 * config.panel_word_bytes,
    }
    text = (core / "tiny_memories.v").read_text()
    assert re.findall(r"^module (\w+) ", text, re.MULTILINE) == [memory["module"] for memory in listed]
    for memory in listed:
        assert memory["module"] == "tiny_ram_1r1w_{words}x{bits}x{mask_bits}".format(**memory)


@pytest.mark.slow
def test_they_hold_words_and_nothing_else(core: Path) -> None:
    for body in re.findall(
        r"^module .*?^endmodule", (core / "tiny_memories.v").read_text(), re.M | re.DOTALL
    ):
        assert sorted(re.findall(r"^  (?:input|output) (?:\[\d+:0\] )?(\w+);", body, re.M)) == sorted(PORTS)
        registers = re.findall(r"^  reg (.*);", body, re.M)
        assert len(registers) == 2, f"the array and the word that was read, not {registers}"
    assert "array [" not in (core / "tiny.v").read_text()


STAND_IN = """module {module} (input clk, input read_en, input [{top}:0] read_addr, output reg [{bits}-1:0] read_data,
  input [{masks}-1:0] write_en, input [{top}:0] write_addr, input [{bits}-1:0] write_data);
  reg [{bits}-1:0] words [0:{words}-1];
  integer part;
  always @(posedge clk) begin
    if (read_en) read_data <= words[read_addr];
    for (part = 0; part < {masks}; part = part + 1) if (write_en[part])
      words[write_addr][part*{mask_bits} +: {mask_bits}] <= write_data[part*{mask_bits} +: {mask_bits}];
  end
endmodule
"""


@pytest.mark.slow
def test_others_take_their_place(core: Path, icarus: str, tmp_path: Path) -> None:
    """As macros do: modules written from the list alone, without initial values. The bench of the core agrees."""
    listed = json.loads((core / "tiny.json").read_text())["memories"]
    stand_ins = "".join(
        STAND_IN.format(
            **memory, masks=memory["bits"] // memory["mask_bits"], top=(memory["words"] - 1).bit_length() - 1
        )
        for memory in listed
    )
    (tmp_path / "macros.v").write_text(stand_ins)
    files = [core / "tiny.v", tmp_path / "macros.v", core / "tiny_bench.sv"]
    output = tmp_path / "bench.vvp"
    build = [icarus, "-g2012", "-s", "tiny_bench", "-o", str(output), *map(str, files)]
    subprocess.run(build, check=True, capture_output=True)
    vvp = [str(Path(icarus).with_name("vvp")), "-n", str(output)]
    run = subprocess.run(vvp, cwd=core, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert run.stdout.startswith("PASS: ")


def test_memories_of_one_size_are_one_module() -> None:
    body = "(rst, " + ", ".join(PORTS) + ");\n" + "".join(f"  input {name};\n" for name in PORTS)
    module = "module \\top.{} " + body + "  input rst;\n  wire rst;\nendmodule\n\n"
    use = "  \\top.{0}  a (\n    .clk(clk),\n    .rst(rst),\n    .read_en(e)\n  );\n"
    text = (
        "module top(clk);\n"
        + use.format("a.ram_1r1w_4x8x8")
        + use.format("b.c.ram_1r1w_4x8x8")
        + "endmodule\n"
    )
    text += module.format("a.ram_1r1w_4x8x8") + module.format("b.c.ram_1r1w_4x8x8")
    written = rewrite(text, "top")
    assert "rst" not in written
    (memory,) = leaf_memories(written, "top")
    assert (memory.module, memory.instances, memory.words) == ("top_ram_1r1w_4x8x8", 2, 4)
    logic, memories = split_memories(written, "top")
    assert (logic.count("endmodule"), memories.count("endmodule")) == (1, 1)
    with pytest.raises(verilog.VerilogError, match="Two memories of the name ram_1r1w_4x8x8 differ"):
        rewrite(text.replace("  input read_en;\n", "  input read_en; // other\n", 1), "top")
    with pytest.raises(verilog.VerilogError, match="has the ports clk, read_en, .* x, not clk"):
        rewrite(text.replace("  input rst;\n", "  input x;\n  input rst;\n"), "top")


@pytest.mark.slow
def test_a_style_is_an_attribute_of_four_memories() -> None:
    config = relay_config()
    text = verilog.emit(replace(config, memory=replace(config.memory, style="ultra")))
    told = re.findall(r'\(\* ram_style = "ultra" \*\)\n  reg \[(\d+):0\] array', text)
    assert len(told) == len(Memory) - 1
    assert word_bits(config, Memory.S) - 1 not in map(int, told)
