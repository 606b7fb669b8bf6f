"""An ablation made by hand: a baseline, one row alone and one after another."""

from __future__ import annotations

from tests.support.reports.recorded import CONFIG, SETTING
from vitreous.reports.ablation.ablation import Ablation, AblationRow
from vitreous.reports.energy.technology import Range


def row(name: str, order: str, cycles: int, *, measured: bool = False, area: bool = True) -> AblationRow:
    return AblationRow(
        name=name,
        change=f"what is there instead of {name}",
        method="cycle model",
        order=order,
        cycles=cycles,
        predicted=cycles - 2,
        cycles_how="measured" if measured else "modelled",
        latency_ms=cycles / 200e3,
        energy=Range(cycles * 1e-9, cycles * 2e-9, cycles * 5e-9),
        dram_bytes=4096,
        area={"lut": 3000, "ff": 2000} if area else {},
        area_how="modelled",
        same_results=area,
    )


def ablation() -> Ablation:
    return Ablation(
        model="two-layers",
        model_source="written by hand",
        accelerator="tiny",
        config=CONFIG.as_dict(),
        **SETTING,
        clock_source="assumed",
        target="xcup",
        rows=(
            row("nothing", "baseline", 1000),
            row("double buffering", "alone", 1500, measured=True),
            row("single-pass softmax", "alone", 990, area=False),
            row("double buffering", "cumulative", 1500),
        ),
        versions={"vitreous": "0.1.0"},
    )
