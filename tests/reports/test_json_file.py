"""Dataclasses from JSON: what is accepted, and the sentence for what is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format, structured


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: str
    pairs: tuple[tuple[int, float], ...]
    note: str = ""

    def __post_init__(self) -> None:
        if not self.pairs:
            raise ReportError(f"{self.name} has no pairs")


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    share: float
    on: bool
    how: Literal["measured", "modelled"]
    inner: tuple[Inner, ...]
    one: Inner | None
    rows: Sequence[str]
    by_name: Mapping[str, tuple[int, int]]
    mixed: Mapping[str, int | float | bool | str]
    free: Mapping[str, Any]


OUTER = Outer(
    count=3,
    share=0.5,
    on=True,
    how="measured",
    inner=(Inner(name="a", pairs=((1, 2.5), (2, 3.0))), Inner(name="b", pairs=((3, 4.0),), note="n")),
    one=Inner(name="c", pairs=((0, 0.0),)),
    rows=("x", "y"),
    by_name={"k": (1, 2)},
    mixed={"i": 1, "f": 1.5, "b": True, "s": "t"},
    free={"deep": {"list": [1, None]}},
)


def data() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps({"format": "f/1", **asdict(OUTER)}))
    return found


def test_what_was_written_is_read_again() -> None:
    assert structured(Outer, data(), "it") == OUTER
    assert structured(tuple[Inner, ...], data()["inner"], "it") == OUTER.inner
    assert structured(Outer, {**data(), "one": None}, "it").one is None


def test_an_integer_stays_one_where_a_number_is_asked_for() -> None:
    whole = structured(Outer, {**data(), "share": 2}, "it")
    assert json.dumps(whole.share) == "2"
    defaulted = data()
    del defaulted["inner"][0]["note"]
    assert structured(Outer, defaulted, "it") == OUTER


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(count="3"), "count must be an integer, not '3'"),
        (lambda d: d.update(count=True), "count must be an integer, not True"),
        (lambda d: d.update(count=3.0), "count must be an integer, not 3.0"),
        (lambda d: d.update(share="0.5"), "share must be a number, not '0.5'"),
        (lambda d: d.update(on=1), "on must be true or false, not 1"),
        (lambda d: d["inner"][1].update(name=None), "inner[1].name must be a text, not None"),
        (lambda d: d["inner"][0]["pairs"][1].__setitem__(0, "q"), "inner[0].pairs[1][0] must be an integer, not 'q'"),
        (lambda d: d["by_name"].update(k=[1, "2"]), "by_name.k[1] must be an integer, not '2'"),
        (lambda d: d.update(inner={}), "inner must be a list, not dict"),
        (lambda d: d.update(rows="xy"), "rows must be a list, not str"),
        (lambda d: d["inner"].append(3), "inner[2] must be a table, not int"),
        (lambda d: d["inner"][0].update(size=1, age=2), "inner[0] has unknown entries: age, size"),
        (lambda d: d["inner"][0].pop("name"), "inner[0] lacks name"),
        (lambda d: [d.pop("on"), d.pop("how")], "The thing lacks how, on"),
        (lambda d: d.update(extra=1), "The thing has unknown entries: extra"),
        (lambda d: d["inner"][1].update(pairs=[]), "b has no pairs"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: Callable[[dict[str, Any]], object], sentence: str) -> None:
    changed = data()
    change(changed)
    with pytest.raises(ReportError) as caught:
        structured(Outer, changed, "The thing")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda d: d.update(how="guessed"), "how: "),
        (lambda d: d["inner"][0]["pairs"].append([1, 2, 3]), "inner[0].pairs[2]: "),
        (lambda d: d["mixed"].update(s=[1]), "mixed.s: "),
        (lambda d: d.update(free=3), "free: "),
    ],
)
def test_everything_else_has_its_path(change: Callable[[dict[str, Any]], object], path: str) -> None:
    changed = data()
    change(changed)
    with pytest.raises(ReportError) as caught:
        structured(Outer, changed, "The thing")
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize(
    ("found", "name"), [({}, None), ({"format": "g"}, "g"), ([], "list"), (None, "NoneType")]
)
def test_another_format_is_refused(found: Any, name: str | None) -> None:
    check_format({"format": "f/1"}, "f/1", "It has")
    with pytest.raises(ReportError, match=f"^It has format {name!r}; expected 'f/1'$"):
        check_format(found, "f/1", "It has")
