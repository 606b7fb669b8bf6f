"""The search with figures from a formula: what it tells the study, and that an interruption changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.compiler.graphs import random_vit_graph
from tests.support.explore import tiny
from vitreous.errors import RunError
from vitreous.explore import objectives
from vitreous.explore.evaluation import Accuracy, Cycles, Quantized, Refused
from vitreous.explore.fields import Design
from vitreous.explore.search import Evaluation, Search, Tally
from vitreous.explore.space import Space
from vitreous.explore.study import open_study

ACCURACY = Accuracy(images=4, correct=None, correct_float=None, agree=3, fidelity_db=30.0)
MODEL = Quantized(
    graph=random_vit_graph(0, image=(8, 8), patch=4, dim=8, heads=1, depth=1, mlp=8), accuracy=ACCURACY
)


@pytest.fixture(autouse=True)
def _formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Area is multipliers and memory, energy is both of time and area: no tables, so the tests stay what they are."""

    def area(config: Any, _: str) -> dict[str, float]:
        lut = 100.0 * config.array.macs_per_cycle + 10 * config.memory.residual_kib
        return {"lut": lut, "area": lut}

    def cost(config: Any, _: object, cycles: Cycles) -> dict[str, float]:
        return {"cycles": cycles.cycles, "latency_ms": cycles.cycles / 1e3, "energy_mj": cycles.cycles * 2e-3}

    monkeypatch.setattr(objectives, "area_figures", area)
    monkeypatch.setattr(objectives, "cost_figures", cost)


def formula(made: Design) -> Evaluation:
    """Fewer cycles with more multipliers and a wider bus; X of 1 KiB is too small."""
    config = made.config
    cycles = (
        100_000 // config.array.macs_per_cycle + 64_000 // config.bus.data_bits + config.memory.score_keys
    )
    fits = config.memory.activation_kib > 1
    result = Cycles(cycles=cycles, counters={}, instructions=1) if fits else Refused(reason="X is too small")
    return Evaluation(quantized=lambda: MODEL, cycles=lambda: result)


def searched(
    folder: Path,
    points: int,
    *,
    space: Space | None = None,
    evaluate: Callable[[Design], Evaluation] = formula,
    seed: int = 0,
) -> tuple[Tally, Any]:
    space = space or tiny.space()
    target = space.targets[0]
    study = open_study(
        folder / "study.db", space, "m", target, seed=seed, points=24, digest="space", sources="sources"
    )
    return Search(study, space, target, seed=seed, evaluate=evaluate).run(points), study


def told(study: Any) -> list[Any]:
    """Everything that a study knows, without times."""
    return [
        (t.number, t.state.name, t.params, t.user_attrs, t.values) for t in study.get_trials(deepcopy=False)
    ]


@pytest.mark.slow
def test_points_are_distinct_and_those_that_cannot_be_say_why(tmp_path: Path) -> None:
    tally, study = searched(tmp_path, 24)
    complete = [t for t in study.trials if t.state.name == "COMPLETE"]
    assert len(complete) == tally.points == 24
    assert len({tuple(t.params.items()) for t in complete}) == 24
    refused = [t for t in study.trials if "refused" in t.user_attrs]
    assert len(refused) == tally.refused > 0
    assert {t.user_attrs["refused"] for t in refused} == {"X is too small"}
    assert all(t.params["memory.activation_kib"] == 1 for t in refused)


@pytest.mark.slow
def test_an_interrupted_search_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    _, whole = searched(tmp_path / "whole", 20)
    left = [7, 6, 99]

    def breaking(made: Design) -> Evaluation:
        def cycles() -> Cycles | Refused:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return formula(made).cycles()

        return Evaluation(quantized=lambda: MODEL, cycles=cycles)

    while len(left) > 1:
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path / "parts", 20, evaluate=breaking)
        del left[0]
    tally, parts = searched(tmp_path / "parts", 20, evaluate=breaking)
    assert tally.points == 20
    assert told(parts) == told(whole)


@pytest.mark.slow
def test_more_points_are_added(tmp_path: Path) -> None:
    _, study = searched(tmp_path, 10)
    first = told(study)
    tally, study = searched(tmp_path, 14)
    assert tally.points == 14
    assert told(study)[: len(first)] == first


@pytest.mark.slow
def test_a_space_ends(tmp_path: Path) -> None:
    space = tiny.space(
        space={"array.lanes": [4, 8], "bus.data_bits": [64, 128], "memory.activation_kib": [1, 16]}
    )
    tally, _ = searched(tmp_path, 50, space=space)
    assert (tally.points, tally.refused) == (4, 4)


@pytest.mark.slow
def test_limits(tmp_path: Path) -> None:
    # 8 x 8 x 4 is too large before anything is compiled; 4 x 4 x 1 is too slow afterwards.
    space = tiny.space(constraints={"lut": 20_000, "latency_ms": 5.0})
    evaluated: list[int] = []

    def counting(made: Design) -> Evaluation:
        evaluated.append(made.config.array.macs_per_cycle)
        return formula(made)

    tally, study = searched(tmp_path, 20, space=space, evaluate=counting)
    assert max(evaluated) == 128
    large = [t for t in study.trials if "lut 25," in t.user_attrs.get("refused", "")]
    assert all((t.params["array.lanes"], t.params["array.depth"]) == (8, 4) for t in large)
    complete = [t for t in study.trials if t.state.name == "COMPLETE"]
    slow = [t for t in complete if t.user_attrs["point"]["refusal"]]
    assert len(slow) == tally.points - tally.feasible > 0
    assert all("latency_ms" in t.user_attrs["point"]["refusal"] and t.values[0] > 5 for t in slow)


def test_another_space_seed_or_version_is_refused(tmp_path: Path) -> None:
    space = tiny.space()
    arguments: dict[str, Any] = {"seed": 0, "points": 8, "digest": "a", "sources": "b"}
    open_study(tmp_path / "study.db", space, "m", space.targets[0], **arguments)
    for change, sentence in (
        ({"digest": "c"}, "holds an exploration of another space; give another --out"),
        ({"sources": "c"}, "was made by another version of Vitreous; give another --out"),
        ({"seed": 1}, "was begun with --seed 0; give that, or another --out"),
    ):
        with pytest.raises(RunError, match=sentence):
            open_study(tmp_path / "study.db", space, "m", space.targets[0], **{**arguments, **change})
