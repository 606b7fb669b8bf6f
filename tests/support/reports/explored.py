"""An exploration made by hand: forty designs, four on the front, one of them the accelerator of ``recorded.CONFIG``."""

from __future__ import annotations

from tests.support.reports.recorded import CONFIG, SETTING
from vitreous.reports.exploration.exploration import Confirmation, Exploration, ExploredPoint, Goal, Searched
from vitreous.spec.isa import COUNTERS

GOALS = (
    Goal(
        name="latency",
        figure="latency_ms",
        unit="ms",
        maximize=False,
        how="modelled",
        meaning="cycles at the clock",
    ),
    Goal(
        name="energy", figure="energy_mj", unit="mJ", maximize=False, how="modelled", meaning="of one image"
    ),
    Goal(name="accuracy", figure="accuracy", unit="", maximize=True, how="measured", meaning="on images"),
)
FIELDS = ("array.lanes", "array.depth", "bus.data_bits", "memory.activation_kib", "memory.weight_kib")


def point(number: int) -> ExploredPoint:
    """Latency and energy go against each other over the first four; the others are beaten, every fifth over a limit."""
    front = number < 4
    latency = 0.2 * 2.0**number if front else 2.0 + 0.1 * number
    energy = 8.0 / 2.0**number if front else 9.0 + 0.05 * number
    seen = {name: (100, 97 if name == "cycles" else 100) for name, _ in COUNTERS}
    return ExploredPoint(
        number=number,
        settings=dict.fromkeys(FIELDS, 2 ** (number % 4)),
        figures={
            "latency_ms": latency,
            "energy_mj": energy,
            "accuracy": 0.9 - 0.001 * number,
            "cycles": 1000.0,
        },
        refusal="lut over 1000" if number % 5 == 4 else "",
        front=front,
        config={**CONFIG.as_dict(), "name": "found"} if number == 3 else {"name": "other"} if front else None,
        confirmation=Confirmation(cycles=100, counters=seen, compared=10, different=0, seconds=1.5)
        if number == 1
        else None,
    )


def exploration() -> Exploration:
    return Exploration(
        name="space",
        date="2026-01-01 00:00 UTC",
        combinations=1024,
        dimensions=dict.fromkeys(FIELDS, (1, 2, 4, 8)),
        fixed={},
        accelerator="tiny",
        limits={"lut": 1000.0},
        goals=GOALS,
        seed=1,
        seconds=12.5,
        cpu_seconds=20.0,
        versions={"vitreous": "0.1.0"},
        searches=(
            Searched(
                model="two-layers",
                **SETTING,
                area="xcup",
                measured_on="8 images",
                images=8,
                points=tuple(point(number) for number in range(40)),
            ),
        ),
    )
