"""A wheel holds every room and every data file, and works when installed elsewhere and run from an empty folder."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.tree import ROOT

ROOMS = ["spec", "golden", "quant", "compiler", "hw", "sim", "reports", "models"]

pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], cwd: Path) -> str:
    result = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
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
    wanted = ["vitreous/py.typed"]
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


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    foreign = [name for name in held if not name.startswith(("vitreous/", "vitreous-"))]
    assert not foreign, "a room at the top level would collide with a user's own"
    assert not [name for name in held if "__pycache__" in name or "/tests/" in name]
    text = zipfile.ZipFile(wheel).read(next(name for name in held if name.endswith("/METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in text


def test_wheel_works_elsewhere_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """Installed without its dependencies into an environment that sees ours, but not this tree."""
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(
        run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path).strip()
    )
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
    ]
    run(install, tmp_path)
    # Behind its own packages those of this environment, as plain folders: their .pth files, and with them the editable
    # install of this tree, stay unread.
    ours = [folder for folder in sys.path if folder.endswith("site-packages")]
    (site / "ours.pth").write_text("\n".join(ours) + "\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    code = "import vitreous, vitreous.spec, vitreous.hw, vitreous.models; print(vitreous.__file__)"
    assert Path(run([python, "-c", code], empty).strip()) == site / "vitreous" / "__init__.py"
    command = tmp_path / "venv" / "bin" / "vitreous"
    listing = run([command, "list"], empty)
    for accelerator in (ROOT / "configs").glob("*.toml"):
        assert accelerator.stem in listing
    assert "fashion-vit" in listing
    run([command, "rtl", "--accelerator", "edge64", "--out", "rtl"], empty)
    assert list((empty / "rtl").glob("*.v"))
