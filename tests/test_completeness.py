"""For every kind and every place that tells its members apart: nothing is missing, and what is missing is found."""

from __future__ import annotations

import re

import pytest

from tests.support.kinds import KINDS
from tests.support.places import Place
from tests.support.tree import DOCS, ROOT
from vitreous.spec.variants import SoftmaxVariant

ROWS = [(kind, place) for kind, places in KINDS.items() for place in places]


@pytest.mark.parametrize(("kind", "place"), ROWS, ids=[f"{kind} {place.file}" for kind, place in ROWS])
def test_every_place_knows_every_member(kind: str, place: Place) -> None:
    assert not place.lacks(), f"{place.file} does not know every {kind}"


def test_a_missing_member_is_found() -> None:
    place = Place("x", lambda: ["base2", "ita"], lambda: SoftmaxVariant)
    assert place.lacks() == ["online", "ibert", "exact"]


def test_every_place_is_there() -> None:
    assert all((ROOT / place.file).exists() for places in KINDS.values() for place in places)


@pytest.mark.parametrize("kind", KINDS)
def test_the_guide_names_every_place(kind: str) -> None:
    text = (DOCS / "extending.md").read_text()
    match = re.search(
        rf"^## .*\b{kind}\b.*\n(?P<body>(?:(?!^## ).*\n?)*)", text, re.MULTILINE | re.IGNORECASE
    )
    assert match, f"docs/extending.md has no section on a new {kind}"
    missing = [place.file for place in KINDS[kind] if f"`{place.file}`" not in match["body"]]
    assert not missing, f"the section on a new {kind} lacks {missing}"
