"""Every unit, port and cause that a page can show has a colour; an unknown one is refused."""

from __future__ import annotations

import re

import pytest

from tests.support.reports.recorded import record
from vitreous.reports.area.area import area, named_targets
from vitreous.reports.area.pieces import PIECES
from vitreous.reports.draw import colours
from vitreous.reports.energy.energy import DRAM, STATIC
from vitreous.reports.energy.event_costs import event_costs
from vitreous.reports.energy.technology import load_technology
from vitreous.reports.errors import ReportError
from vitreous.reports.figures import figures, memory_map
from vitreous.reports.figures.ports import ACCESSES
from vitreous.reports.page.page import folder
from vitreous.spec.config import load_accelerator, named_accelerators
from vitreous.spec.isa import Memory, Queue
from vitreous.spec.opcodes.causes import Cause


@pytest.mark.parametrize("name", named_accelerators())
def test_every_unit_of_an_accelerator_has_a_colour(name: str) -> None:
    config = load_accelerator(name)
    units = {cost.unit for cost in event_costs(config, load_technology("asic-28nm"))} | {DRAM, STATIC}
    blocks = {block.name for target in named_targets() for block in area(config, target).blocks}
    assert blocks == {piece.group for piece in PIECES}
    assert {name: colours.unit(name) for name in units | blocks} == colours.UNITS  # and none that nobody has


def test_every_port_cause_region_and_queue_has_a_colour() -> None:
    assert {row.port for row in figures.traffic(record())} == set(colours.PORTS)
    assert {row.name for row in figures.stalls(record())} == set(colours.STALLS)
    assert set(memory_map.KINDS) == set(colours.DRAM_REGIONS)
    assert set(Cause) == set(colours.CAUSES)
    assert len(set(colours.CAUSES.values())) == len(Cause)
    assert {queue.name.lower() for queue in Queue} == set(colours.QUEUES)
    assert set(Memory) == set(colours.MEMORIES) == set(ACCESSES)


def test_every_colour_is_a_class_of_the_style_sheet() -> None:
    classes = set(re.findall(r"\.([\w-]+) \{", (folder() / "figures.css").read_text()))
    tables = (
        colours.UNITS,
        colours.PORTS,
        colours.STALLS,
        colours.DRAM_REGIONS,
        colours.QUEUES,
        colours.CAUSES,
    )
    words = {word for table in tables for colour in table.values() for word in colour.split()}
    assert words <= classes


def test_what_nobody_knows_has_no_colour() -> None:
    with pytest.raises(ReportError, match="^Unit 'expert' has no colour; known are array multipliers, "):
        colours.unit("expert")
    with pytest.raises(ReportError, match="^Port 'Q read' has no colour; known are AXI read, data, "):
        colours.port("Q read")
