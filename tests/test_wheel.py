"""A wheel holds every room and every data file, and works when installed elsewhere and run from an empty folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.tree import ROOT
from vitreous import __version__
from vitreous.reference.schemas import DOCUMENTS, committed
from vitreous.spec.extras import EXTRAS

ROOMS = ["spec", "golden", "quant", "compiler", "hw", "sim", "reports", "models"]

pytestmark = pytest.mark.slow


# Without what would lead to another tree than the wheel's.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(command: Sequence[str | Path], cwd: Path, **more: str) -> str:
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**ENVIRONMENT, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is written into the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    products = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "sim_build")
    shutil.copytree(ROOT, source, symlinks=True, ignore=products)
    run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "out", source],
        folder,
    )
    (built,) = (folder / "out").glob("*.whl")
    return built


def data_files() -> list[str]:
    """Every file that the package needs beside its Python, by the place it must have in the wheel."""
    wanted = ["vitreous/py.typed", *(f"vitreous/schemas/{name}.schema.json" for name in DOCUMENTS)]
    patterns = [
        "models/weights/*",
        "models/data/*",
        "reports/page/templates/**/*",
        "reports/energy/tech/**/*.toml",
        "reports/**/*.json",
        "configs/*.toml",
    ]
    patterns += [f"{room}/**/*{end}" for room in ("hw", "sim") for end in (".v", ".sv", ".vlt", ".cpp", ".h")]
    for pattern in patterns:
        wanted += [f"vitreous/{path.relative_to(ROOT)}" for path in ROOT.glob(pattern) if path.is_file()]
    return wanted


def test_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    modules = [f"vitreous/{path.relative_to(ROOT)}" for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    modules += [f"vitreous/{path.name}" for path in (ROOT / "vitreous").glob("*.py")]
    held = zipfile.ZipFile(wheel).namelist()
    assert not sorted(set(modules + data_files()) - set(held))
    assert len(held) == len(set(held))
    for room in ROOMS:
        assert f"vitreous/{room}/__init__.py" in held


def test_the_version_is_the_same_everywhere() -> None:
    cited = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited == [__version__]
    assert f"\n## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    foreign = [name for name in held if not name.startswith(("vitreous/", "vitreous-"))]
    assert not foreign, "a room at the top level would collide with a user's own"
    assert not [name for name in held if "__pycache__" in name or "/tests/" in name]
    text = zipfile.ZipFile(wheel).read(next(name for name in held if name.endswith("/METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in text


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment with the wheel, installed without its dependencies: it sees ours, but not this tree."""
    folder = tmp_path_factory.mktemp("installed")
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder)
    venv = folder / "venv"
    pip_install(venv, folder, "--no-deps", wheel)
    # Behind its own packages those of this environment, as plain folders: their .pth files, and with them the editable
    # install of this tree, stay unread.
    ours = [folder for folder in sys.path if folder.endswith("site-packages")]
    (site_packages(venv) / "ours.pth").write_text("\n".join(ours) + "\n")
    return venv


def site_packages(venv: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run([venv / "bin" / "python", "-c", code], venv).strip())


def pip_install(venv: Path, cwd: Path, *words: str | Path) -> str:
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python"]
    return run([*pip, "install", "--no-index", *words], cwd)


@pytest.mark.parametrize("extra", [*EXTRAS, "dev"])
def test_every_extra_can_be_installed(extra: str, wheel: Path, installed: Path, tmp_path: Path) -> None:
    """What it asks for is there at a version that it takes; a wheel without this extra makes pip say so."""
    answer = pip_install(installed, tmp_path, "--dry-run", f"vitreous[{extra}] @ {wheel.as_uri()}")
    assert "does not provide the extra" not in answer
    asked = set(re.findall(r"^Requirement already satisfied: ([\w.-]+)", answer, re.MULTILINE))
    for package in EXTRAS.get(extra, ("pytest", "selenium")):
        assert package in asked, f"{package} is not asked for by [{extra}]"
    assert "Would install" not in answer.replace("Would install vitreous", "")


def test_a_network_of_ones_own_reaches_its_report_in_five_minutes(installed: Path, tmp_path: Path) -> None:
    """The script of the README from the wheel in an empty folder, its simulator built anew."""
    script = (ROOT / "examples" / "own_network.py").read_text()
    assert len([line for line in script.splitlines() if line.strip()]) <= 25
    empty = tmp_path / "empty"
    empty.mkdir()
    one = {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache"), "CCACHE_DISABLE": "1"}
    started = time.monotonic()
    told = run([installed / "bin" / "python", "-c", script], empty, **one)
    assert time.monotonic() - started < 300
    assert told.startswith("<Report Net on edge64: outputs equal to golden; accuracy ")
    report = json.loads((empty / "build" / "Net-edge64" / "report.json").read_text())
    assert report["accuracy_int"] > 0.8
    assert (report["accuracy_images"], report["accuracy_test"]["origin"]) == (200, "given")
    assert (empty / "build" / "Net-edge64" / "index.html").is_file()


def test_wheel_works_elsewhere_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    python, site = installed / "bin" / "python", site_packages(installed)
    empty = tmp_path / "empty"
    empty.mkdir()
    code = "import vitreous, vitreous.spec, vitreous.hw, vitreous.models; print(vitreous.__file__)"
    assert Path(run([python, "-c", code], empty).strip()) == site / "vitreous" / "__init__.py"
    command = installed / "bin" / "vitreous"
    listing = run([command, "list"], empty)
    for accelerator in (ROOT / "configs").glob("*.toml"):
        assert accelerator.stem in listing
    assert "fashion-vit" in listing
    assert run([command, "schema", "report"], empty) == committed("report")
    run([command, "rtl", "--accelerator", "edge64", "--out", "rtl"], empty)
    assert list((empty / "rtl").glob("*.v"))
