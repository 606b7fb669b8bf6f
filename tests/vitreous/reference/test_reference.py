"""What is committed is what the source says: pages and schemas; and real files are what the schemas say."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.reports.ablated import ablation
from tests.support.reports.explored import exploration
from tests.support.reports.recorded import large_record, record
from tests.support.schemas import faults
from tests.support.tree import EXAMPLES, ROOT
from vitreous import cli
from vitreous.quant.importer import importer
from vitreous.reference import configuration, meaning, operators, schemas
from vitreous.reference.__main__ import texts
from vitreous.reports.report import summarize
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.limits import ATTENTION_KEYS
from vitreous.spec.ranges import ranges

# jschon's own use of rfc3986.
pytestmark = pytest.mark.filterwarnings("ignore:Please use rfc3986")


def test_what_is_committed_is_what_the_source_says() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in texts().items()
        if not path.is_file() or path.read_text() != text
    ]
    assert not stale, f"run `make docs`: {stale}"


FILES = sorted([*(ROOT / "configs").glob("*.toml"), *EXAMPLES.glob("*64*.toml")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_accelerator_is_valid(path: Path) -> None:
    assert not faults("configuration", tomllib.loads(path.read_text()))
    assert not faults("configuration", AcceleratorConfig.from_toml(path).as_dict())


@pytest.mark.parametrize(
    "wrong",
    [
        {"array": {"lanes": 5}},
        {"array": {"lines": 8}},
        {"cache": {}},
        {"memory": {"score_keys": ATTENTION_KEYS + 8}},
        {"memory": {"score_keys": 12}},
        {"softmax": {"variant": "exact"}},
        {"activation": {"range": 0}},
        {"activation": {"interpolate": 1}},
        {"queue": 8},
    ],
    ids=str,
)
def test_what_a_configuration_refuses_is_not_valid(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|Unknown|float64"):
        AcceleratorConfig.from_dict(wrong)
    assert faults("configuration", wrong)


def test_records_and_reports_are_valid() -> None:
    for made in (record(), large_record(blocks=2)):
        assert not faults("record", made.as_dict())
        report = dataclasses.replace(summarize(made), exploration=exploration(), ablation=ablation())
        assert not faults("report", report.as_dict())


def test_a_missing_and_an_unknown_entry_are_not_valid() -> None:
    data = record().as_dict()
    data["model"]["surprise"] = data["model"].pop("macs")
    assert faults("record", data)
    report = summarize(record()).as_dict()
    del report["activity"][0]["ratio"]
    assert faults("report", report)


def test_the_command_prints_a_schema_or_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["schema", "record"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == schemas.committed("record")
    with pytest.raises(SystemExit) as leaving:
        cli.main(["schema", "graph"])
    assert leaving.value.code == 2
    expected = "vitreous: There is a schema of configuration, record or report, not of 'graph'\n"
    assert capsys.readouterr().err == expected


def test_every_field_of_a_configuration_has_a_meaning_and_a_row() -> None:
    page = configuration.page()
    for part in dataclasses.fields(AcceleratorConfig):
        default = getattr(AcceleratorConfig(), part.name)
        if dataclasses.is_dataclass(default):
            assert set(meaning.fields(type(default))) == set(ranges(type(default)))
            section = page.partition(f"## [{part.name}]")[2].partition("\n## ")[0]
            assert all(f"| `{name}` |" in section for name in ranges(type(default)))


def test_every_operator_is_on_the_page() -> None:
    page = operators.page()
    for name in {*importer._HANDLERS, *importer._MOVES, *importer._ASSERTIONS}:
        assert f"`{name}`" in page
    assert "- Attention with grouped queries\n" in page
    assert "- Operator … is not supported\n" in page
