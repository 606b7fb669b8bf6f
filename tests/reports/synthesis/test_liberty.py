from __future__ import annotations

from pathlib import Path

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis.liberty import parse, read_cells

BUFFER = """cell (BUF) { area : 3; pin (A) { direction : input; capacitance : 0.5; }
  pin (Y) { direction : output; function : "(A)"; timing () { related_pin : "A"; values ("1, 2", \\
    "3, 4"); } } }
"""
FLIP_FLOP = """cell (DFF) { area : 9.5; ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; }
  pin (D) { direction : input; } pin (C) { direction : input; clock : true; }
  pin (Q) { direction : output; function : "IQ"; } }
"""
NAND = """cell (NAND) { area : 2; dont_use : true;
  pin (A) { direction : input; } pin (B) { direction : input; }
  pin (Y) { direction : output; function : "(!(A B))"; } }
"""


def library(*cells: str) -> str:
    head = (
        "/* a comment { */ library (tiny) {\n  capacitive_load_unit (1, pf);\n  delay_model : table_lookup;\n"
    )
    return head + "".join(cells) + "}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "tiny.lib"
    path.write_text(text)
    return path


def test_cells_with_area_kind_and_load(tmp_path: Path) -> None:
    name, cells = read_cells(written(tmp_path, library(BUFFER, FLIP_FLOP, NAND)))
    assert name == "tiny"
    assert {cell.name: cell.area for cell in cells.values()} == {"BUF": 3, "DFF": 9.5, "NAND": 2}
    assert [name for name, cell in cells.items() if cell.flip_flop] == ["DFF"]
    assert [name for name, cell in cells.items() if cell.buffer] == ["BUF"]
    assert [name for name, cell in cells.items() if cell.dont_use] == ["NAND"]
    assert cells["BUF"].load_ff == 500


def test_a_unit_of_capacitance_that_is_not_known_is_refused(tmp_path: Path) -> None:
    text = library(BUFFER).replace("(1, pf)", "(1, nf)")
    with pytest.raises(ReportError, match="^capacitive_load_unit must be in ff or pf, not 'nf'$"):
        read_cells(written(tmp_path, text))


def test_groups_attributes_and_continued_lines() -> None:
    root = parse(library(BUFFER), "here")
    (cell,) = root.of("cell")
    output = next(pin for pin in cell.of("pin") if pin.names == ("Y",))
    (timing,) = output.of("timing")
    assert timing.attributes == {"related_pin": "A", "values": "1,2,3,4"}
    assert root.attributes["delay_model"] == "table_lookup"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "tiny.lib is not a Liberty file: it begins with 'nothing'"),
        (
            "module x; endmodule",
            r"tiny.lib is not a Liberty file: it begins with 'module x', not with 'library \('",
        ),
        ("\x00\x01\x7fELF", "tiny.lib is not a Liberty file"),
        (library(BUFFER, FLIP_FLOP)[:-20], "truncated: it ends inside pin"),
        (
            library(BUFFER, FLIP_FLOP).rstrip()[:-1],
            r"truncated: it ends inside library \(tiny\), with 1 groups",
        ),
        (library(BUFFER, NAND), r"has no flip-flop \(a cell with an ff group\)"),
        (library(FLIP_FLOP, NAND), "has no buffer"),
        (library(), "has no cells"),
        (library(BUFFER.replace("area : 3", "area : wide"), FLIP_FLOP), "cell BUF: could not convert"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ReportError, match=sentence):
        read_cells(written(tmp_path, text))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"Cannot read the library .*none\.lib: No such file or directory"):
        read_cells(tmp_path / "none.lib")
