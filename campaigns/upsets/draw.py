"""Which bit is turned over in which cycle: a function of the seed and the flip's number."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from campaigns.upsets.kinds import SHARES, Role, Stratum, role, stratum
from vitreous.sim.run.state import Element
from vitreous.sim.upsets.runs import Flip


@dataclass(frozen=True)
class Pool:
    """Every bit of ``elements`` is as likely as any other; the pool itself gets ``share`` parts of the flips."""

    share: int
    elements: tuple[Element, ...]


def everywhere(state: Sequence[Element]) -> list[Pool]:
    """All state, by the shares of its strata."""
    pools = (Pool(SHARES[kind], tuple(e for e in state if stratum(e) is kind)) for kind in Stratum)
    return [pool for pool in pools if pool.elements]


def where_it_steers(state: Sequence[Element]) -> list[Pool]:
    """The state that says what happens next, half of the flips in its flip-flops and half in its memories."""
    steering = [e for e in state if role(e.path) is not Role.DATA]
    halves = (tuple(e for e in steering if bool(e.words) is memories) for memories in (False, True))
    return [Pool(1, half) for half in halves if half]


class Draw:
    """Flips in the first ``cycles`` cycles of a run."""

    def __init__(self, pools: Sequence[Pool], *, cycles: int, seed: int) -> None:
        self.pools = pools
        self.cycles = cycles
        self.seed = seed
        self._bits = [list(accumulate(e.bits for e in pool.elements)) for pool in pools]

    def flip(self, index: int) -> Flip:
        """Number ``index``, whatever the others are."""
        chance = random.Random(f"{self.seed}:{index}")
        (number,) = chance.choices(range(len(self.pools)), [pool.share for pool in self.pools])
        (element,) = chance.choices(self.pools[number].elements, cum_weights=self._bits[number])
        return Flip(
            index=index,
            path=element.path,
            word=chance.randrange(element.words) if element.words else None,
            bit=chance.randrange(element.width),
            cycle=chance.randrange(self.cycles),
        )
