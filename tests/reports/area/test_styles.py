"""Memories in UltraRAM: what the area says, and which devices take them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vitreous.reports.area.area import area
from vitreous.reports.area.devices import fits
from vitreous.reports.errors import ReportError
from vitreous.spec.config import AcceleratorConfig, load_accelerator

AUTO = load_accelerator("edge256")


def ultra(config: AcceleratorConfig) -> AcceleratorConfig:
    return replace(config, memory=replace(config.memory, style="ultra"))


def test_four_memories_move_and_the_rest_stays() -> None:
    before, after = area(AUTO, "xcup"), area(ultra(AUTO), "xcup")
    assert (before.total.uram, after.total.uram) == (None, 19)
    assert ("uram" in before.columns, "uram" in after.columns) == (False, True)
    assert (after.total.lut, after.total.ff, after.total.dsp) == (
        before.total.lut,
        before.total.ff,
        before.total.dsp,
    )
    moved = {block.name: block.uram for block in after.blocks if block.uram}
    assert moved == {"memory X": 8, "memory W": 4, "memory R": 6, "memory P": 1}
    s = next(block for block in before.blocks if block.name == "memory S")
    assert after.total.bram == s.bram


def test_a_device_with_ultraram_takes_what_its_blocks_do_not() -> None:
    """Blocks of edge256 are more than a K26 has; a ZCU102's chip has no UltraRAM."""
    block = {fit.device: fit for fit in fits(area(AUTO, "xcup"))}
    ultraram = {fit.device: fit for fit in fits(area(ultra(AUTO), "xcup"))}
    assert "fits" not in block["xck26"].verdict
    assert [fit.verdict for fit in ultraram.values()] == ["fits", "fits", "does not fit"]
    used = {part.column: (part.used, part.of) for part in ultraram["xck26"].taken}
    assert used["uram"] == (19, 64)
    assert ultraram["xczu9eg"].tightest == "uram"
    assert "uram" not in {part.column for part in block["xck26"].taken}


def test_an_fpga_without_ultraram_is_refused_and_cells_have_macros() -> None:
    with pytest.raises(ReportError, match="ecp5 has no UltraRAM"):
        area(ultra(load_accelerator("edge64")), "ecp5")
