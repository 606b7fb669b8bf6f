"""The summary in words: its sentences and its estimates follow from the recorded counters."""

import copy
import re
from typing import Any

import pytest

from tests.support.reports.recorded import record_data
from tests.support.tree import ROOT
from vitreous.reports import Report, ReportError, summarize
from vitreous.reports.area import section
from vitreous.reports.area.area import Area, BlockArea
from vitreous.reports.area.devices import COMPOSED, DEVICES, UNCHECKED, fits
from vitreous.reports.findings.findings import CAUSES
from vitreous.reports.record.record import from_dict
from vitreous.spec.counters import MATRIX_IDLE


def made(**counted: int) -> Report:
    """The two-layer run with other counters in its first image; its array is busy for 30 cycles of 100."""
    data: dict[str, Any] = copy.deepcopy(record_data())
    data["simulation"]["images"][0]["counters"] |= counted
    return summarize(from_dict(data))


def test_every_cause_of_an_idle_array_has_its_words() -> None:
    assert tuple(CAUSES) == MATRIX_IDLE


def test_changes_take_the_cycles_of_one_cause_away() -> None:
    # 25 beats of the read port: no change can go below that. 800 MAC at 32 a cycle are 25 cycles.
    found = {change.formula: change for change in made().findings.changes}
    assert found["cycles - matrix_empty"].cycles == 80
    assert found["cycles - matrix_wait_vector"].cycles == 82
    assert found["cycles - array_busy / 2"].cycles == 85
    assert found["cycles - matrix_wait_load"].factor == pytest.approx(100 / 88)
    assert [c.cycles for c in made().findings.changes] == sorted(c.cycles for c in made().findings.changes)
    assert {c.how for c in made().findings.changes} == {"modelled"}


def test_no_change_is_faster_than_dram() -> None:
    changes = made(fetch_beats=93).findings.changes  # and the one of the load
    assert {c.cycles for c in changes if "DRAM" in c.formula} == {94}
    assert {c.formula: c.cycles for c in changes if "DRAM" not in c.formula} == {
        "cycles - matrix_stall_readout": 95
    }
    assert made(fetch_beats=99).findings.changes == ()


def test_what_limits_is_what_takes_most_cycles() -> None:
    mixed = made().findings.limit
    assert mixed.startswith("The array is busy in only 30.0% of the cycles")
    assert "it mostly has no instruction: 20.0% of all cycles" in mixed
    waiting = made(matrix_wait_load=40, matrix_empty=0).findings.limit
    assert "waiting for DRAM, though not for its bandwidth" in waiting
    assert "the bandwidth of DRAM" in made(matrix_wait_load=40, matrix_empty=0, fetch_beats=98).findings.limit
    data = record_data()
    for image in data["simulation"]["images"]:
        image["counters"] |= {"cycles": 40, "matrix_wait_load": 2, "matrix_wait_vector": 0, "matrix_empty": 0}
    data["simulation"]["spans"] = []
    limit = summarize(from_dict(data)).findings.limit
    assert limit.startswith("The array limits this run: it is busy in 75.0% of the cycles, 83% of that")


def composed(lut: int, bram: int, *, error: float = 0.0, unchecked: float = 0.0) -> Area:
    block = BlockArea(name="all", lut=lut, ff=1000, dsp=10, bram=bram, how="modelled")
    return Area(
        accelerator="a",
        target="xcup",
        blocks=(block,),
        how="modelled",
        tool="t",
        errors={"lut": error},
        unchecked=("array",) if unchecked else (),
        unchecked_share=unchecked,
    )


def test_a_device_is_filled_by_the_area_and_its_known_error() -> None:
    found = fits(composed(100_000, 100, error=0.1))
    assert [fit.device for fit in found] == ["xck26", "xczu7ev", "xczu9eg"], "the smallest first"
    lut = next(part for part in found[0].taken if part.column == "lut")
    assert (lut.used, lut.of) == (100_000, DEVICES["xck26"].resources["lut"])
    assert lut.high == pytest.approx(110_000)
    assert lut.low == pytest.approx(90_000 / (1 + COMPOSED["xcup"]["lut"]))
    assert [fit.tightest for fit in found] == ["lut", "lut", "lut"]
    ff = next(part for part in found[0].taken if part.column == "ff")
    assert ff.high == ff.used == 1000, "nothing is known of its error but that of a sum of pieces"


@pytest.mark.parametrize(
    ("area", "verdict"),
    [
        (composed(100_000, 288), "fits"),
        (composed(110_000, 288, error=0.1), "may not fit"),
        (composed(100_000, 296), "does not fit"),
        (composed(100_000, 290), "may not fit"),
        (composed(100_000, 288, unchecked=UNCHECKED), "fits"),
        (composed(100_000, 288, unchecked=0.5), "probably fits"),
    ],
)
def test_a_verdict_counts_the_ends_of_the_error(area: Area, verdict: str) -> None:
    assert fits(area)[0].verdict == verdict


def test_an_area_that_is_not_known_is_no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise ReportError("nothing was measured.")

    monkeypatch.setattr(section, "area", unknown)
    assert made().findings.fit == (
        "Whether it fits a device of UltraScale+ is not known: nothing was measured.",
        "Whether it fits a device of ECP5 is not known: nothing was measured.",
    )


def test_the_error_of_a_sum_of_pieces_is_the_one_that_was_measured() -> None:
    text = (ROOT / "docs" / "results" / "area.md").read_text()
    for target, known in COMPOSED.items():
        head, table = re.search(rf"\| edge64, {target} \|(.*?)\n(.*?)\n\n", text + "\n\n", re.S).groups()  # type: ignore[union-attr]
        names = [cell.strip() for cell in head.split("|")[:-1]]
        cells = next(line for line in table.splitlines() if line.startswith("| deviation")).split("|")[2:-1]
        measured = {n: float(c.strip(" %")) / 100 for n, c in zip(names, cells, strict=True)}
        assert {column: measured[column] for column in known} == pytest.approx(dict(known))
