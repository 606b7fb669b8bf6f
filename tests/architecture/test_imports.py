"""Imports run upward only, by room and by package, and what must start quickly or run bare loads nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.imports import imported_names, package_of
from tests.support.sim.small import CASES, TINY, small_program
from tests.support.tree import ROOMS, ROOT, all_modules, module_name, python_files
from vitreous.spec.program import save

# room: the rooms that it may import
LAYERS: dict[str, set[str]] = {
    "spec": set(),
    "golden": {"spec"},
    "quant": {"spec", "golden"},
    "compiler": {"spec"},
    "hw": {"spec"},
    "sim": {"spec", "hw", "golden", "compiler"},
    "reports": {"spec"},
    "models": {"spec"},
}
# room: the packages of others that it may import, beside the standard library
FOREIGN: dict[str, set[str]] = {
    "spec": {"numpy", "safetensors", "safer", "platformdirs"},
    "golden": {"numpy", "torch"},
    "quant": {"numpy", "torch", "torchao", "safetensors", "rich"},
    "compiler": {"numpy"},
    "hw": {"numpy", "amaranth"},
    "sim": {"numpy", "torch", "amaranth", "cocotb", "cocotb_tools", "cocotbext", "find_libpython", "rich"},
    "reports": {"numpy", "cattrs", "jinja2", "matplotlib", "rich"},
    "models": {"numpy", "torch", "safetensors", "safer", "rich", "PIL"},
}
# Needs no simulator: neither its packages nor the modules that start one. Amaranth stays allowed, because the model
# takes its latencies from the constants of the hardware's units.
SIMULATOR = ["cocotb", "cocotb_tools", "torch"]
SIMULATOR += [f"vitreous.sim.run.{name}" for name in ("build", "toolchain", "runtime")]


def layer_faults(room: str, source: str, package: str) -> list[str]:
    """What ``source`` in ``room`` imports and may not, each as ``line: reason``."""
    faults = []
    for line, base, imported in imported_names(source, package):
        top, _, rest = f"{base}.{imported}".partition(".")
        if top == "vitreous":
            other = rest.partition(".")[0]
            if other != room and other not in LAYERS[room]:
                faults.append(f"{line}: {room} may not import vitreous.{other}")
        elif top in LAYERS:
            faults.append(f"{line}: import vitreous.{top}, not {top}")
        elif top not in sys.stdlib_module_names and top not in FOREIGN[room]:
            faults.append(f"{line}: {room} may not import {top}")
    return faults


def loaded_by(modules: list[str], unwanted: list[str]) -> str:
    """Those of ``unwanted`` that a fresh Python has loaded after importing ``modules``, one a line."""
    code = f"import {', '.join(modules)}, sys; print(*[m for m in {unwanted} if m in sys.modules], sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_every_room_has_a_layer() -> None:
    assert set(LAYERS) == set(FOREIGN) == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_upward_only(room: str) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{fault}"
        for path in python_files(room)
        for fault in layer_faults(room, path.read_text(), package_of(module_name(path), path))
    ]
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
    assert not loaded_by([module], ["torch"])


@pytest.mark.parametrize("package", ["vitreous.sim.cycles", "vitreous.explore"])
def test_the_cycle_model_needs_no_simulator(package: str) -> None:
    modules = [name for name in all_modules() if f"{name}.".startswith(f"{package}.")]
    assert len(modules) > 10
    assert not loaded_by(modules, SIMULATOR)


def test_a_prediction_loads_no_simulator(tmp_path: Path) -> None:
    # Beside the test above: what is imported only when a function runs.
    program, _ = small_program(TINY, next(iter(CASES)))
    path = save(program, tmp_path / "program.safetensors")
    code = (
        "import sys\n"
        "from vitreous.sim.cycles import predict\n"
        "from vitreous.sim.dram import MemoryTiming\n"
        "from vitreous.spec.config import AcceleratorConfig\n"
        "from vitreous.spec.program import load\n"
        "program = load(sys.argv[1])\n"
        "config = AcceleratorConfig.from_dict(program.config)\n"
        "assert predict(program, config, MemoryTiming()).cycles > 0\n"
        f"print(*[m for m in {SIMULATOR} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr
