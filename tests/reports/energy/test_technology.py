"""Technologies: what a file must hold, and that the shipped ones are what their sources and the fit say."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks import technologies
from vitreous.reports.energy import technology
from vitreous.reports.energy.technology import (
    Range,
    load_dram,
    load_technology,
    named_drams,
    named_technologies,
    technology_from,
)
from vitreous.reports.errors import ReportError

FOLDER = Path(technology.__file__).parent / "tech"
BASE = load_technology("asic-45nm")


def contents(name: str = "asic-45nm") -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


def test_what_is_named() -> None:
    assert named_technologies() == ["asic-28nm", "asic-45nm", "asic-7nm", "fpga-ultrascale-plus"]
    assert named_drams() == ["ddr3", "ddr4", "gddr5", "hbm2", "lpddr3", "lpddr4"]
    assert technology.DEFAULT_TECHNOLOGY in named_technologies()
    assert technology.DEFAULT_DRAM in named_drams()


@pytest.mark.parametrize("name", named_technologies())
def test_a_named_technology_is_complete(name: str) -> None:
    loaded = load_technology(name)
    assert loaded.name == name
    assert set(loaded.values) == set(technology.UNITS)
    assert set(loaded.memories) == set(technology.MEMORIES)


@pytest.mark.parametrize("name", named_drams())
def test_a_named_dram_has_a_range(name: str) -> None:
    bit = load_dram(name).bit_pj
    assert 0 < bit.low < bit.typical < bit.high


def test_a_multiply_accumulate_spans_what_the_sources_say() -> None:
    """0.23 pJ with an 8-bit sum (Horowitz) to 1.27 pJ with a 32-bit sum and 48 register bits (Aladdin, scaled)."""
    low = BASE["multiply_int8"].low + BASE["add_int32"].low * 8 / 32
    high = BASE["multiply_int8"].high + BASE["add_int32"].high + 48 * BASE["register_bit"].high
    assert low == pytest.approx(0.23, abs=0.006)
    assert high == pytest.approx(1.27, abs=0.01)


@pytest.mark.parametrize(("kib", "typical"), [(8, 10.0), (32, 20.0), (1024, 100.0), (0.25, 2.72)])
def test_a_memory_costs_what_its_points_say(kib: float, typical: float) -> None:
    assert BASE.memories["memory_read"].at(kib).typical == pytest.approx(typical)


def test_between_and_beyond_two_points_energy_is_a_power_of_the_capacity() -> None:
    """From 32 KiB (20 pJ) to 1 MiB (100 pJ): a factor of 5 for 5 octaves, so 5**(1/5) for each, 2 MiB included."""
    at = BASE.memories["memory_read"].at
    assert at(64).typical == pytest.approx(20 * 5**0.2)
    assert at(2048).typical == pytest.approx(100 * 5**0.2)


@pytest.mark.parametrize(
    ("node", "volts", "published"),
    [(32, 0.9, 0.64), (20, 0.9, 0.24), (16, 0.9, 0.19), (7, 0.9, 0.10)],
)
def test_scaling_of_a_node(node: float, volts: float, published: float) -> None:
    assert technologies.energy_of_node(node, volts) == pytest.approx(published, abs=0.006)


@pytest.mark.parametrize("name", technologies.DERIVED)
def test_a_derived_file_is_what_the_script_makes(name: str) -> None:
    made = technologies.as_toml(technologies.DERIVED[name]())
    assert made == (FOLDER / f"{name}.toml").read_text(), "run: python -m benchmarks.technologies --write"


def test_the_tables_of_the_page_are_those_of_the_files() -> None:
    text = technologies.PAGE.read_text()
    assert technologies.with_tables(text) == text, "run: python -m benchmarks.technologies --write"


@pytest.mark.parametrize(
    ("system", "within"),
    [(technologies.EFFICIENTVIT, 0.1), (technologies.K26, 0.1), (technologies.EDGE_MOE, None)],
    ids=lambda x: getattr(x, "name", ""),
)
def test_the_fitted_fpga_gives_the_published_powers(
    system: technologies.System, within: float | None
) -> None:
    """All lie in the range; the two chips that were fitted within 10 % of typical. Edge-MoE is a board."""
    watts = technologies.power(load_technology("fpga-ultrascale-plus"), system.gmacs)
    assert watts.low <= system.watts <= watts.high
    if within is not None:
        assert watts.typical == pytest.approx(system.watts, rel=within)


def test_newer_processes_cost_less() -> None:
    chain = [load_technology(name)["multiply_int8"] for name in ("asic-7nm", "asic-28nm", "asic-45nm")]
    for less, more in itertools.pairwise(chain):
        assert (less.low, less.typical, less.high) < (more.low, more.typical, more.high)


def _set(path: str, value: Any) -> dict[str, Any]:
    data = contents()
    *parents, last = path.split(".")
    place: Any = data
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


BAD = [
    ("extra", 1, "mine has unknown entries: extra"),
    ("clock_bit", None, "mine lacks: clock_bit"),
    ("clock_bit", 3.0, "mine.clock_bit must be a table, not 3.0"),
    ("clock_bit.source", None, "mine.clock_bit lacks: source"),
    ("clock_bit.source", " ", "mine.clock_bit.source must say where the value comes from"),
    ("clock_bit.unit", "fJ/bit", "mine.clock_bit.unit must be 'pJ/bit', not 'fJ/bit'"),
    ("clock_bit.how", "guessed", "mine.clock_bit.how must be one of measured, published, modelled, assumed"),
    ("clock_bit.comment", "x", "mine.clock_bit has unknown entries: comment"),
    ("clock_bit.low", -1.0, "mine.clock_bit.low must not be negative, but is -1"),
    ("clock_bit.low", 9.0, "mine.clock_bit must have low <= typical <= high, not 9, 0.0018, 0.0053"),
    ("clock_bit.high", "1", "mine.clock_bit.high must be a number, not '1'"),
    ("clock_bit.high", float("nan"), "mine.clock_bit.high must be a number, not nan"),
    ("clock_bit.high", None, "mine.clock_bit lacks: high"),
    ("clock_bit.value", 1.0, "mine.clock_bit has unknown entries: high, low, typical"),
    ("memory_read.points", [], "mine.memory_read.points must be a list of capacities with their energies"),
    (
        "memory_read.points.1.kib",
        1,
        r"mine.memory_read.points\[1\].kib must be positive and above the previous point",
    ),
    ("memory_read.points.0.low", 0.0, r"mine.memory_read.points\[0\] must be above zero"),
    ("memory_read.points.0.pj", 1, r"mine.memory_read.points\[0\] has unknown entries: pj"),
    ("memory_read.unit", "pJ", "mine.memory_read.unit must be 'pJ/64 bit', not 'pJ'"),
    ("kind", "cpu", "mine.kind must be asic or fpga, not 'cpu'"),
    ("title", "", "mine.title must be a sentence"),
    ("node_nm", 0, "mine: node_nm and voltage_v must be above zero"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), BAD, ids=lambda x: str(x)[:40])
def test_a_wrong_file_is_refused_in_a_sentence(path: str, value: Any, sentence: str) -> None:
    with pytest.raises(ReportError, match=f"^{sentence}"):
        technology_from(_set(path, value), "mine")


def test_one_value_is_a_range_without_width() -> None:
    data = contents()
    data["clock_bit"] = {"value": 0.5, "unit": "pJ/bit", "source": "mine", "how": "measured"}
    assert technology_from(data, "mine")["clock_bit"] == Range(0.5, 0.5, 0.5)


def test_a_file_of_the_user(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text((FOLDER / "asic-45nm.toml").read_text())
    assert load_technology(str(mine)).name == "mine"
    assert load_technology(str(mine))["add_int32"] == BASE["add_int32"]


def test_a_dram_of_the_user(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('title = "x"\n[bit]\nvalue = 2\nunit = "pJ/bit"\nsource = "mine"\nhow = "measured"\n')
    assert load_dram(str(mine)).bit_pj == Range(2, 2, 2)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        ReportError, match=r"^Unknown technology '3nm'; named ones are asic-28nm, .*, or give"
    ):
        load_technology("3nm")
    with pytest.raises(ReportError, match=r"^Unknown DRAM 'ddr9'; named ones are ddr3, "):
        load_dram("ddr9")
    with pytest.raises(ReportError, match=r"^Cannot read the technology file .*none.toml: No such file"):
        load_technology(str(tmp_path / "none.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("a = [")
    with pytest.raises(ReportError, match="broken.toml is not valid TOML"):
        load_technology(str(broken))


def test_ranges_add_and_scale() -> None:
    assert Range(1, 2, 4) + Range(0.5, 1, 2) == Range(1.5, 3, 6)
    assert 2 * Range(1, 2, 4) / 4 == Range(0.5, 1, 2)
    assert Range(1, 2, 4) * Range(0, 1, 2) == Range(0, 2, 8)
