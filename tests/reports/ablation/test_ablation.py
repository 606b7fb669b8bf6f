"""The table of an ablation as data and as a page, from rows made up here."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.reports.page.test_page import Page
from vitreous.reports.ablation.ablation import (
    Ablation,
    AblationRow,
    Candidate,
    csv_text,
    from_dict,
    load,
    markdown,
    write,
)
from vitreous.reports.ablation.page import page
from vitreous.reports.energy.technology import Range
from vitreous.reports.errors import ReportError


def row(name: str, order: str, cycles: int, **fields: Any) -> AblationRow:
    return AblationRow(
        **{
            "name": name,
            "change": f"<{name}> & co",
            "method": "made up",
            "order": order,
            "cycles": cycles,
            "predicted": cycles,
            "cycles_how": "modelled",
            "latency_ms": cycles / 1e5,
            "energy": Range(1e-3, 2e-3, 4e-3),
            "dram_bytes": 1000,
            "area": {"lut": 100, "dsp": 0},
            "area_how": "measured",
            "same_results": True,
            **fields,
        }
    )


def ablation() -> Ablation:
    pair = Candidate(
        linear="8×8×2", attention="8×8×2", overlapped=True, cycles=1500, area={"lut": 130, "dsp": 0}
    )
    bound = Candidate(linear="160", attention="96", overlapped=True, cycles=1400, area={})
    rows = (
        row("nothing", "baseline", 1000),
        row("units", "alone", 1500, candidates=(pair, bound), area={"lut": 130, "dsp": 0}),
        row("buffers", "alone", 1250, predicted=1240, cycles_how="measured", energy=Range(1e-3, 3e-3, 4e-3)),
        row("softmax", "cumulative", 990, area={}, area_how="unknown: never measured", same_results=False),
    )
    return Ablation(
        model="m",
        model_source="nowhere",
        accelerator="a",
        config={},
        technology="t",
        dram="d",
        clock_mhz=100.0,
        clock_source="given",
        memory_latency=40,
        memory_throughput=100,
        target="xcup",
        rows=rows,
        versions={},
    )


def test_factors_are_against_the_baseline() -> None:
    found = ablation()
    assert found.factors(found.rows[1]) == {"latency": 1.5, "energy": 1.0, "lut": 1.3}
    assert found.factors(found.rows[3]) == {"latency": 0.99, "energy": 1.0}
    assert [r.deviation for r in found.rows] == [None, None, pytest.approx(-0.008), None]


def test_files_round_trip_and_are_whole(tmp_path: Path) -> None:
    found = ablation()
    written = write(found, tmp_path, page(found))
    assert [path.name for path in written] == ["ablation.json", "ablation.csv", "ablation.html"]
    assert load(tmp_path / "ablation.json") == found
    lines = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert [line["latency_factor"] for line in lines] == ["1.0", "1.5", "1.25", "0.99"]
    assert (lines[3]["lut"], lines[3]["lut_factor"], lines[1]["lut_factor"]) == ("", "", "1.3")
    assert len(list(tmp_path.iterdir())) == 3


def test_readers_see_every_row_with_its_origin() -> None:
    found = ablation()
    text, html = markdown(found), page(found)
    assert "| alone | buffers | <buffers> & co | 1,250 (×1.250) | 0.0125 |" in text
    assert "measured; model -0.80 %" in text
    assert "| – | – | modelled |" in text
    assert "&lt;units&gt; &amp; co" in html
    assert "<units>" not in html
    assert "bound: the best share" in html
    shown = " ".join(Page(html).text.split())
    assert "1 250×1.250" in shown
    assert "-0.80 %" in shown, "the cycle model beside the measured cycles"
    assert "3.00×1.5001.00 to 4.00" in shown, "energy with its factor and its range"
    assert "area unknown: never measured; other results than the baseline" in shown
    assert Page(html).open == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"format": "other"}, "The ablation has format 'other'; expected 'vitreous.ablation/1'"),
        ([], "The ablation has format 'list'"),
        ({"format": "vitreous.ablation/1"}, "The ablation is damaged: KeyError"),
    ],
)
def test_other_data_is_refused(data: Any, sentence: str) -> None:
    with pytest.raises(ReportError, match=sentence):
        from_dict(data)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ablation.json"
    with pytest.raises(ReportError, match="Cannot read .*ablation.json"):
        load(path)
    path.write_text(json.dumps(ablation().as_dict())[:-10])
    with pytest.raises(ReportError, match="Cannot read .*ablation.json"):
        load(path)
