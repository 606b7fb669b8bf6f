"""The report's area: the accelerator's blocks on every target that was measured, as ``reports.area.area`` composes
them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vitreous.reports.area.area import BlockArea, Composed, area, measurements, named_targets
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
class TargetArea(Composed):
    """One target. ``columns`` are those of ``BlockArea`` that it has; ``total`` is the sum of ``blocks``.

    how : begins with ``measured`` or ``modelled``. devices : how much of each device of the family it takes.
    reason : why there is no area here; then everything else is empty.
    """

    title: str
    columns: tuple[str, ...]
    total: BlockArea | None
    devices: tuple[DeviceFit, ...]
    reason: str


def area_section(config: AcceleratorConfig) -> tuple[TargetArea, ...]:
    """All named targets, FPGAs that the project's presets are made for first."""
    order = sorted(
        named_targets(), key=lambda name: (list(TITLES).index(name) if name in TITLES else 99, name)
    )
    return tuple(_target(config, name) for name in order)


def _target(config: AcceleratorConfig, name: str) -> TargetArea:
    title = TITLES.get(name, name)
    try:
        found = area(config, name)
    except ReportError as error:
        tool, reason = measurements(name).tool, str(error)
        unknown = Composed(
            target=name, blocks=(), how="", tool=tool, errors={}, unchecked=(), unchecked_share=0.0
        )
        return TargetArea(**vars(unknown), title=title, columns=(), total=None, devices=(), reason=reason)
    shared = {entry.name: getattr(found, entry.name) for entry in fields(Composed)}
    columns, total = found.columns, found.total
    return TargetArea(**shared, title=title, columns=columns, total=total, devices=fits(found), reason="")
