"""Draws of upsets, verdicts, and the page."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from campaigns.upsets.draw import Draw, everywhere, where_it_steers
from campaigns.upsets.kinds import SHARES, Role, Stratum, Verdict, role, stratum, verdict
from campaigns.upsets.page import Campaign, page, summary
from tests.support.sim.small import TINY
from vitreous.sim.run.state import Element
from vitreous.sim.upsets.runs import Flip, Upset
from vitreous.spec import isa
from vitreous.spec.isa import ErrorCode

STATE = (
    Element(path="tokens.load_to_matrix", width=16),
    Element(path="matrix.array.accumulator", width=320),
    Element(path="load.bursts.address", width=32),
    Element(path="queue_load.waiting.storage", width=272, words=8),
    Element(path="matrix.partial.kept", width=128, words=4),
    Element(path="memory_x.ram_1r1w_512x64x8.array", width=64, words=512),
)
CLEAN = Upset(
    flip=Flip(index=0, path=STATE[0].path, word=None, bit=0, cycle=1),
    interrupt=True,
    cycles=100,
    status=isa.STATUS_DONE,
    different=0,
    violations=0,
    outside=0,
    recovered=True,
)


def test_a_flip_depends_on_its_number_and_the_seed_alone() -> None:
    draw = Draw(everywhere(STATE), cycles=50, seed=1)
    assert [draw.flip(i) for i in (4, 2)] == [draw.flip(4), draw.flip(2)]
    assert draw.flip(2) != Draw(everywhere(STATE), cycles=50, seed=2).flip(2)


def test_flips_are_inside_and_shared_out() -> None:
    draw = Draw(everywhere(STATE), cycles=50, seed=1)
    known = {element.path: element for element in STATE}
    flips = [draw.flip(index) for index in range(4000)]
    for flip in flips:
        element = known[flip.path]
        assert 0 <= flip.bit < element.width
        assert 0 <= flip.cycle < 50
        assert flip.word is None if not element.words else 0 <= flip.word < element.words
    drawn = Counter(stratum(known[flip.path]) for flip in flips)
    for kind, share in SHARES.items():
        assert drawn[kind] == pytest.approx(40 * share, rel=0.1)
    # Within a stratum bits are equally likely: 16 of 368.
    tokens = sum(flip.path == STATE[0].path for flip in flips)
    assert tokens == pytest.approx(drawn[Stratum.REGISTERS] * 16 / 368, rel=0.3)


def test_steering_state_is_drawn_alone() -> None:
    draw = Draw(where_it_steers(STATE), cycles=50, seed=1)
    roles = Counter(role(draw.flip(index).path) for index in range(2000))
    assert set(roles) == {Role.TOKENS, Role.BURSTS, Role.DESCRIPTORS}
    assert roles[Role.DESCRIPTORS] == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Verdict.MASKED),
        ({"different": 3}, Verdict.WRONG),
        ({"interrupt": False}, Verdict.HANG),
        ({"interrupt": False, "status": isa.STATUS_BUSY}, Verdict.HANG),
        ({"status": None}, Verdict.HANG),
        ({"status": isa.error_status(ErrorCode.DEADLOCK), "different": 5}, Verdict.ERROR),
        ({"outside": 1, "violations": 1}, Verdict.OUTSIDE),
        (
            {"outside": 1, "violations": 1, "status": isa.error_status(ErrorCode.WINDOW)},
            Verdict.OUTSIDE,
        ),
    ],
)
def test_verdicts(changes: dict[str, object], expected: Verdict) -> None:
    assert verdict(replace(CLEAN, **changes)) is expected  # type: ignore[arg-type]


def test_the_page_counts_every_flip() -> None:
    wrong = replace(CLEAN, different=1)
    stopped = replace(CLEAN, status=isa.error_status(ErrorCode.DEADLOCK), recovered=False)
    campaign = Campaign(
        config=TINY,
        where="all state",
        state=STATE,
        cycles=100,
        seed=1,
        upsets=[CLEAN, CLEAN, wrong, stopped],
        seconds=1,
    )
    text = page([campaign], "make upsets")
    assert (
        "| tokens | 4 | 2: 50.0 % (15.0 to 85.0) | 1: 25.0 % (4.6 to 69.9) | 0: 0.0 % (0.0 to 49.0)" in text
    )
    assert "Error codes: DEADLOCK 1." in text
    assert "After 1 of the 2 flips that were not masked" in text
    assert summary(campaign).startswith("50.0 % masked, 25.0 % wrong result, 0.0 % hang, 25.0 % error code")
