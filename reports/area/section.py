"""The report's area: the accelerator's blocks on every target that was measured, as ``reports.area.area`` composes
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vitreous.reports.area.area import BlockArea, area, measurements, named_targets
from vitreous.reports.area.devices import DeviceFit, fits
from vitreous.reports.errors import ReportError
from vitreous.spec.config import AcceleratorConfig

TITLES = {
    "xcup": "UltraScale+ (Yosys synth_xilinx -family xcup)",
    "ecp5": "ECP5 (Yosys synth_ecp5)",
    "ice40": "iCE40 (Yosys synth_ice40)",
    "osu018": "standard cells, OSU 0.18 µm (Yosys and ABC)",
}


@dataclass(frozen=True, kw_only=True)
class TargetArea:
    """One target. ``columns`` are those of ``BlockArea`` that it has; ``total`` is the sum of ``blocks``.

    how : begins with ``measured`` or ``modelled``. errors, unchecked, unchecked_share : as in ``Area``.
    devices : how much of each device of the family it takes.
    reason : why there is no area here; then everything else is empty.
    """

    target: str
    title: str
    tool: str
    how: str
    columns: tuple[str, ...]
    blocks: tuple[BlockArea, ...]
    total: BlockArea | None
    errors: Mapping[str, float] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()
    unchecked_share: float = 0.0
    devices: tuple[DeviceFit, ...] = ()
    reason: str = ""


def area_section(config: AcceleratorConfig) -> tuple[TargetArea, ...]:
    """All named targets, FPGAs that the project's presets are made for first."""
    order = sorted(
        named_targets(), key=lambda name: (list(TITLES).index(name) if name in TITLES else 99, name)
    )
    return tuple(_target(config, name) for name in order)


def _target(config: AcceleratorConfig, name: str) -> TargetArea:
    title, tool = TITLES.get(name, name), measurements(name).tool
    try:
        found = area(config, name)
    except ReportError as error:
        return TargetArea(
            target=name, title=title, tool=tool, how="", columns=(), blocks=(), total=None, reason=str(error)
        )
    return TargetArea(
        target=name,
        title=title,
        tool=tool,
        how=found.how,
        columns=found.columns,
        blocks=found.blocks,
        total=found.total,
        errors=found.errors,
        unchecked=found.unchecked,
        unchecked_share=found.unchecked_share,
        devices=fits(found),
    )
