"""``python -m campaigns.upsets``: turn over bits of a running machine one by one, and write docs/results/upsets.md.

Flip number i is the same in every campaign with the same seed, hardware and program. Results are kept in
``build/upsets`` one by one, so an interrupted campaign resumes where it was, and one with more ``--flips`` goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from campaigns.upsets.draw import Draw, everywhere, where_it_steers
from campaigns.upsets.page import Campaign, page, summary
from campaigns.upsets.subject import accelerator, subject
from tests.support.tree import DOCS
from vitreous.sim.run.build import cache_key
from vitreous.sim.run.state import elements
from vitreous.sim.upsets.runs import Subject, Upset, clean_cycles, run_flips
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.digest import source_digest
from vitreous.spec.folders import SIMULATORS

DEFAULT = ("small-4x2-64-base2",)
PARITY = {"off": (False,), "on": (True,), "both": (False, True)}
CHUNK = 250
"""Flips of one simulation process."""


@dataclass(frozen=True)
class Settings:
    """``flips`` of everything and ``steering`` flips of what steers, for each accelerator."""

    flips: int
    steering: int
    seed: int
    workers: int
    root: Path


def _key(target: Subject, seed: int) -> str:
    """Changes with the hardware, the bench, the program, the draw and the seed."""
    sources = source_digest("sim/upsets"), (Path(__file__).parent / "kinds.py").read_text()
    state = hashlib.sha256(f"{cache_key(target.config)} {sources} {seed}".encode())
    for data in (target.memory(), target.window):
        state.update(data.tobytes())
    return state.hexdigest()[:16]


def campaigns(config: AcceleratorConfig, settings: Settings) -> list[Campaign]:
    """Both draws on one accelerator. Raises SimulationError when a simulation breaks."""
    target = subject(config, SIMULATORS)
    folder = settings.root / f"{config.name}-{_key(target, settings.seed)}"
    state = elements((target.made.folder / "accelerator.v").read_text(), "accelerator")
    cycles = clean_cycles(target, folder / "clean")
    done = []
    draws = (
        (everywhere, "all state", settings.flips),
        (where_it_steers, "state that steers", settings.steering),
    )
    for pools, where, count in draws:
        if not count:
            continue
        started = time.monotonic()
        draw = Draw(pools(state), cycles=cycles, seed=settings.seed)
        upsets = _upsets(target, draw, count, folder / where.replace(" ", "-"), settings.workers)
        done.append(
            Campaign(
                config=config, where=where, state=state, cycles=cycles, seed=settings.seed, upsets=upsets,
                seconds=time.monotonic() - started,
            )
        )  # fmt: skip
    return done


def _upsets(target: Subject, draw: Draw, count: int, folder: Path, workers: int) -> list[Upset]:
    """Flips 0 to ``count`` - 1, a simulation process for each ``CHUNK`` of them."""

    def chunk(first: int) -> list[Upset]:
        wanted = [draw.flip(index) for index in range(first, min(first + CHUNK, count))]
        return run_flips(target, wanted, folder / f"{first:06d}", cycles=draw.cycles)

    upsets: list[Upset] = []
    with Progress() as progress, ThreadPoolExecutor(workers) as pool:
        task = progress.add_task(f"{target.config.name}, {folder.name}", total=count)
        for part in pool.map(chunk, range(0, count, CHUNK)):
            upsets += part
            progress.advance(task, len(part))
    return upsets


def main() -> int:
    """Exit status 0 when every flip has a verdict."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.upsets", description=__doc__)
    parser.add_argument("--flips", type=int, default=4000, help="of all state, for each accelerator")
    parser.add_argument(
        "--steering", type=int, default=4000, help="of tokens, descriptors, bursts, host registers"
    )
    parser.add_argument(
        "--accelerator", action="append", metavar="NAME", help=f"default: {', '.join(DEFAULT)}"
    )
    parser.add_argument(
        "--parity", choices=PARITY, default="both", help="without protection, with it, or both"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("build/upsets"))
    parser.add_argument("--page", type=Path, default=DOCS / "results" / "upsets.md")
    chosen = parser.parse_args()
    settings = Settings(chosen.flips, chosen.steering, chosen.seed, chosen.workers, chosen.folder.absolute())
    done = [
        campaign
        for name in chosen.accelerator or DEFAULT
        for parity in PARITY[chosen.parity]
        for campaign in campaigns(accelerator(name, parity=parity), settings)
    ]
    command = f"make upsets (python -m campaigns.upsets --flips {chosen.flips} --steering {chosen.steering})"
    chosen.page.write_text(page(done, command))
    for campaign in done:
        print(f"{campaign.config.name}, {campaign.where}: {summary(campaign)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
