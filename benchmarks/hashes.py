"""``python -m benchmarks.hashes``: what Vitreous makes of its shipped inputs, as one hash a line.

A change that means to move code and not behaviour prints the same lines before and after: the Verilog and the FuseSoC
core of every named accelerator, the integer graph of every shipped model, and its program on the accelerators that it
fits. The lines of two revisions are compared with ``diff``.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vitreous.compiler import CompileError, compile
from vitreous.flow import steps
from vitreous.models import load
from vitreous.spec.config import load_accelerator, named_accelerators
from vitreous.spec.graph import save

MODELS = {
    "fashion-vit": ("edge256", "edge64", "edge1024"),
    "rms-silu-vit": ("examples/silu64.toml",),
    "deit-tiny": ("edge256", "edge64", "edge1024"),
    "deit-small": ("edge256", "edge1024"),
}
"""The accelerators that each model is compiled for; the first also sets the formats of its graph."""


def hardware(names: list[str]) -> Iterator[tuple[str, str]]:
    """Verilog, core file, ports and configuration of each named accelerator."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for path in steps.write_rtl(load_accelerator(name), Path(folder)):
                yield f"{name}/{path.name}", digest(path.read_bytes())


def software(models: list[str]) -> Iterator[tuple[str, str]]:
    """Graph of each model, as its files hold it, and its program on each accelerator."""
    for name in models:
        model = load(name)
        with tempfile.TemporaryDirectory() as folder:
            graph = steps.quantize(model, load_accelerator(MODELS[name][0]))
            save(graph, Path(folder) / "graph.safetensors")
            for path in sorted(Path(folder).iterdir()):
                yield f"{name}/{path.name}", digest(path.read_bytes())
        for target in MODELS[name]:
            try:
                program = compile(graph, load_accelerator(target))
            except CompileError as error:
                yield f"{name}/{target}", f"refused: {error}"
            else:
                yield f"{name}/{target}", digest(program.image.tobytes())


def digest(data: bytes) -> str:
    """The first 16 digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def main() -> None:
    """Prints as it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accelerators", nargs="*", default=named_accelerators())
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    arguments = parser.parse_args()
    for source in (hardware(arguments.accelerators), software(arguments.models)):
        for name, value in source:
            print(f"{value}  {name}", flush=True)


if __name__ == "__main__":
    main()
