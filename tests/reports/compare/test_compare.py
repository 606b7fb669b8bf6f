import copy
import json
from pathlib import Path

import pytest

from tests.reports.page.test_page import Page
from tests.support.reports.recorded import record, record_data
from vitreous.reports import ReportError, summarize
from vitreous.reports.compare import compare
from vitreous.reports.compare.page import render, write
from vitreous.reports.record.record import from_dict


def other() -> compare.Report:
    """Twice the cycles in one image, another label, no accuracy, a wider bus."""
    data = copy.deepcopy(record_data())
    data["config"]["name"] = "wide"
    data["config"]["bus"]["data_bits"] = 128
    for image in data["simulation"]["images"]:
        image["counters"]["cycles"] = 202
    data["instructions"][3][1] = "third"
    data["accuracy"] = {
        "images": 8,
        "correct_float": None,
        "correct_int": None,
        "agree": None,
        "reason": "no labels",
        "test": None,
        "calibration": None,
    }
    return summarize(from_dict(data))


def compared() -> compare.Comparison:
    return compare.compare([("a", summarize(record())), ("b", other())])


def quantity(found: compare.Comparison, name: str) -> compare.Quantity:
    return next(q for q in found.quantities if q.name == name)


def test_ratios_are_to_the_first_run() -> None:
    found = compared()
    assert found.names == ("a", "b")
    assert found.titles == ("two-layers on tiny", "two-layers on wide")
    cycles = quantity(found, "cycles for one image")
    assert cycles.values == (101, 202)
    assert cycles.ratios == (1, 2)
    assert cycles.how == ("measured", "measured")
    accuracy = quantity(found, "accuracy, integer")
    assert accuracy.values == (75, None)
    assert accuracy.ratios == (1, None)
    # 1 + 24 + 1 beats of 8 and of 16 bytes.
    assert quantity(found, "DRAM bytes").values == (208, 416)


def test_layers_that_a_run_lacks_have_no_number() -> None:
    rows = {row.name: row.values for row in compared().layers}
    assert rows["first"] == (42, 42)
    assert rows["second"] == (43, None)
    assert rows["third"] == (None, 43)
    stalls = {row.name: row.values for row in compared().stalls}
    assert stalls["matrix_wait_vector"] == (18, 18)
    assert stalls["other"] == (15, 117)


def test_what_differs_is_named_and_what_does_not_is_counted() -> None:
    found = compared()
    assert {d.field: d.values for d in found.differences} == {
        "accelerator": ("tiny", "wide"),
        "bus.data_bits": ("64", "128"),
    }
    same = compare.compare([("a", summarize(record())), ("b", summarize(record()))])
    assert same.differences == ()
    assert same.equal_fields == found.equal_fields + 2
    assert "Nothing: all" in Page(render(same)).text
    data = record_data()
    data["model"]["name"] = "another"
    models = compare.compare([("a", summarize(record())), ("b", summarize(from_dict(data)))])
    assert "different models" in Page(render(models)).text
    assert "different models" not in Page(render(found)).text


def test_each_run_keeps_its_clock_and_says_whether_it_equals_golden() -> None:
    data = record_data()
    data["choices"]["clock_mhz"] = 400
    data["checks"][0]["tensors"][0]["different"] = 1
    wrong = summarize(from_dict(data))
    data["checks"] = []
    runs = [("a", summarize(record())), ("b", wrong), ("c", summarize(from_dict(data)))]
    found = compare.compare(runs)
    assert found.equal == ("yes", "no", "not compared")
    assert found.compared == (54, 54, 0)
    assert found.clocks == ("200 MHz (assumed)", "400 MHz (given)", "400 MHz (given)")
    assert quantity(found, "latency").ratios == (1, 0.5, 0.5)
    text = " ".join(Page(render(found)).text.split())
    assert "Each run keeps its own clock: a 200 MHz (assumed); b 400 MHz (given); c 400 MHz (given)." in text
    assert "equal to goldenyesno–not compared–" in text
    one = Page(render(compare.compare([("a", wrong), ("b", wrong)]))).text
    assert "All runs at 400 MHz (given)." in " ".join(one.split())


def test_page_and_json_hold_the_same(tmp_path: Path) -> None:
    page_path, data_path = write(compared(), tmp_path)
    data = json.loads(data_path.read_text())
    assert data["format"] == compare.FORMAT
    assert [q["ratios"] for q in data["quantities"] if q["name"] == "latency"] == [[1, 2]]
    page = Page(page_path.read_text())
    assert page.open == []
    assert page.scripts == []
    for words in ("2 runs compared", "×\u202f2", "bus.data_bits", "others are"):
        assert words in page.text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["comparison.html", "comparison.json"]


def test_names_cannot_break_the_page() -> None:
    one = summarize(record())
    text = render(compare.compare([("<script>a", one), ('"><b>', one)]))
    assert "<script>" not in text
    assert Page(text).open == []


def test_one_run_and_one_name_are_refused() -> None:
    one = summarize(record())
    with pytest.raises(ReportError, match="A comparison needs at least two runs, not 1"):
        compare.compare([("a", one)])
    with pytest.raises(ReportError, match="The runs must have different names, not a, a"):
        compare.compare([("a", one), ("a", one)])


def test_folders_get_the_shortest_names_that_tell_them_apart(tmp_path: Path) -> None:
    folders = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "other"]
    assert compare.run_names(folders) == ["x/run", "y/run", f"{tmp_path.name}/other"]
    assert compare.run_names(folders[1:]) == ["run", "other"]
    with pytest.raises(ReportError, match="compared with another one, not with itself"):
        compare.run_names([tmp_path / "x", tmp_path / "x"])
