"""The report's energy: units and layers add up, every technology is compared at the same clock."""

from __future__ import annotations

import json

import pytest

from tests.support.reports.recorded import record, record_data
from vitreous.reports import EnergyChoice, ReportError, summarize
from vitreous.reports.energy.energy import energy
from vitreous.reports.energy.technology import load_technology, named_technologies
from vitreous.reports.figures.events import events
from vitreous.reports.figures.figures import TAIL
from vitreous.reports.figures.transfers import transfers
from vitreous.reports.record.record import from_dict
from vitreous.spec.isa import COUNTERS
from vitreous.spec.work import work


def test_the_chosen_technology_comes_first_and_all_are_there() -> None:
    made = record()
    section = summarize(made, clock_mhz=100, energy=EnergyChoice(technology="asic-7nm", dram="hbm2")).energy
    assert (section.technology, section.dram, section.dram_title) == ("asic-7nm", "hbm2", "HBM2")
    assert section.technologies[0].name == "asic-7nm"
    assert sorted(row.name for row in section.technologies) == named_technologies()
    assert section.seconds == pytest.approx(100 / 100e6)
    for row in section.technologies:
        run = energy(
            made.simulation.images[0].counters,
            made.accelerator,
            load_technology(row.name),
            dram="hbm2",
            clock_mhz=100,
        )
        assert row.joules == run.total
        assert row.watts.typical == pytest.approx(run.total.typical / section.seconds)
        assert row.joules_per_mac is not None
        assert row.joules_per_mac.high == pytest.approx(run.total.high / 800)


def test_units_add_up() -> None:
    section = summarize(record()).energy
    assert sum(unit.joules.high for unit in section.units) == pytest.approx(section.total.high)
    assert sum(unit.share for unit in section.units) == pytest.approx(1)
    assert all(unit.how for unit in section.units)


def test_layers_add_up_where_the_counters_are_those_of_the_program() -> None:
    """What belongs to no layer, END among it, is with the cycles after the last product."""
    data = record_data()
    counted = work(record().program, record().accelerator)
    counted["fetch_beats"] = 6 * 4
    one = {name: counted[name] for name, _ in COUNTERS} | {"cycles": 100}
    for image in data["simulation"]["images"]:
        image["counters"] = one
    section = summarize(from_dict(data), energy=EnergyChoice(technology="asic-45nm")).energy
    assert [row.label for row in section.layers] == ["first", "norm", "second", TAIL]
    for end in ("low", "typical", "high"):
        total = sum(getattr(row.total, end) for row in section.layers)
        assert total == pytest.approx(getattr(section.total, end))
    assert sum(row.share for row in section.layers) == pytest.approx(1)


def test_transfers_are_whole_beats_one_after_the_other() -> None:
    """A word of W is 8 bytes, one of R too: a beat of 8 bytes each."""
    run = record()
    found = transfers(run, events(run.program, run.accelerator))
    assert [(t.pc, t.start, t.end, t.bytes) for t in found] == [(0, 2, 12, 8), (4, 85, 95, 8)]


def test_an_unknown_technology_is_one_sentence() -> None:
    with pytest.raises(ReportError, match="^Unknown technology 'asic-3nm'; named ones are "):
        summarize(record(), energy=EnergyChoice(technology="asic-3nm"))


def test_json_has_ranges() -> None:
    data = json.loads(json.dumps(summarize(record()).as_dict()))["energy"]
    assert data["total"]["low"] < data["total"]["typical"] < data["total"]["high"]
    assert data["units"][0]["joules"]["typical"] > 0
