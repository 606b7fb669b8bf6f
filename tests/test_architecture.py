"""The house rules of the source tree: import layers, symlinks, names, sizes and what must not be committed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tree import ROOT

# room: the rooms that it may import
LAYERS: dict[str, set[str]] = {
    "spec": set(),
    "golden": {"spec"},
    "quant": {"spec", "golden"},
    "compiler": {"spec"},
    "hw": {"spec"},
    "sim": {"spec", "hw", "golden", "compiler"},
    "reports": {"spec"},
    "models": set(),
}
# room: the packages of others that it may import, beside the standard library
FOREIGN: dict[str, set[str]] = {
    "spec": {"numpy", "safetensors", "safer"},
    "golden": {"numpy", "torch"},
    "quant": {"numpy", "torch", "torchao", "safetensors", "rich"},
    "compiler": {"numpy"},
    "hw": {"numpy", "amaranth"},
    "sim": {"numpy", "torch", "amaranth", "cocotb", "cocotb_tools", "cocotbext", "find_libpython", "rich"},
    "reports": {"numpy", "cattrs", "jinja2", "matplotlib", "rich"},
    "models": {"numpy", "torch", "safetensors", "safer", "rich"},
}
ROOMS = sorted(LAYERS)
LINKS = [*ROOMS, "configs"]
SOURCE_FOLDERS = [*ROOMS, "vitreous", "campaigns", "tests", "benchmarks", "examples"]
LINE_LIMIT = 400


def python_files(folder: str) -> list[Path]:
    """The Python files of one top-level folder, links to other folders left out."""
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if not _under_link(path)]


def _under_link(path: Path) -> bool:
    return any(parent.is_symlink() for parent in path.parents if ROOT in parent.parents)


def imported_modules(source: str, package: str) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import in ``source``, a module of the dotted ``package``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def layer_faults(room: str, source: str, package: str) -> list[str]:
    """What ``source`` in ``room`` imports and may not, each as ``line: reason``."""
    faults = []
    for line, name in imported_modules(source, package):
        top, _, rest = name.partition(".")
        if top == "vitreous":
            other = rest.partition(".")[0]
            if other != room and other not in LAYERS[room]:
                faults.append(f"{line}: {room} may not import vitreous.{other}")
        elif top in LAYERS:
            faults.append(f"{line}: import vitreous.{top}, not {top}")
        elif top not in sys.stdlib_module_names and top not in FOREIGN[room]:
            faults.append(f"{line}: {room} may not import {top}")
    return faults


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_upward_only(room: str) -> None:
    faults = []
    for path in python_files(room):
        package = ".".join(["vitreous", *path.relative_to(ROOT).parent.parts])
        relative = path.relative_to(ROOT)
        faults += [f"{relative}:{fault}" for fault in layer_faults(room, path.read_text(), package)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("room", "source", "fault"),
    [
        ("spec", "import torch", "1: spec may not import torch"),
        ("hw", "def f():\n    from vitreous.golden import gelu", "2: hw may not import vitreous.golden"),
        ("compiler", "from vitreous import hw", "1: compiler may not import vitreous.hw"),
        ("golden", "from ..quant import scheme", "1: golden may not import vitreous.quant"),
        ("quant", "from .. import sim", "1: quant may not import vitreous.sim"),
        ("sim", "from spec import isa", "1: import vitreous.spec, not spec"),
        ("models", "from vitreous import __version__", "1: models may not import vitreous.__version__"),
        ("reports", "from . import html, svg\nfrom vitreous.spec import isa\nimport json", None),
    ],
)
def test_the_import_check_sees_each_form(room: str, source: str, fault: str | None) -> None:
    assert layer_faults(room, source, f"vitreous.{room}") == ([fault] if fault else [])


def test_the_import_contracts_say_the_same() -> None:
    result = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "module", ["vitreous", "vitreous.spec", "vitreous.hw", "vitreous.compiler", "vitreous.cli"]
)
def test_import_brings_no_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch is imported' if 'torch' in sys.modules else 0)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", LINKS)
def test_package_holds_a_relative_link(name: str) -> None:
    link = ROOT / "vitreous" / name
    assert link.is_symlink()
    assert str(link.readlink()) == f"../{name}"
    assert (ROOT / name).is_dir()


def test_every_link_in_the_package_is_a_room() -> None:
    assert sorted(path.name for path in (ROOT / "vitreous").iterdir() if path.is_symlink()) == sorted(LINKS)


def test_no_folder_for_odds_and_ends() -> None:
    unwanted = {"utils", "util", "common", "helpers", "helper", "misc", "legacy", "v2"}
    named = [
        path.relative_to(ROOT)
        for folder in SOURCE_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.stem in unwanted and not _under_link(path)
    ]
    assert not named


def test_no_source_file_is_over_the_limit() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in SOURCE_FOLDERS
        for pattern in ("*.py", "*.v", "*.sv")
        for path in (ROOT / folder).rglob(pattern)
        if not _under_link(path) and (lines := len(path.read_text().splitlines())) > LINE_LIMIT
    }
    assert not long, f"split at {LINE_LIMIT} lines: {long}"


def test_no_product_is_committed() -> None:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    names = [Path(name) for name in listing.stdout.split("\0") if name]
    forbidden = {
        ".vcd",
        ".fst",
        ".saif",
        ".vvp",
        ".pkl",
        ".pickle",
        ".pt",
        ".pt2",
        ".pth",
        ".o",
        ".so",
        ".whl",
    }
    found = [str(name) for name in names if name.suffix in forbidden]
    # Verilog is generated; written are only the harness that stands beside it in simulation, and benches of tests.
    harness = {"sim", "tests"}
    found += [str(name) for name in names if name.suffix in {".v", ".sv"} and name.parts[0] not in harness]
    assert not found
    generated = [
        str(name)
        for name in names
        if name.suffix in {".v", ".sv"} and "Generated by" in (ROOT / name).read_text()
    ]
    assert not generated


@pytest.mark.parametrize("folder", [*ROOMS, "vitreous"])
def test_public_modules_say_what_they_are(folder: str) -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files(folder)
        if (not path.name.startswith("_") or path.name == "__init__.py")
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent
    assert python_files(folder), f"{folder} holds no Python file"
