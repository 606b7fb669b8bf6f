"""Graphs and programs on disk: round trips, and files that are missing, cut off or something else."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.golden.random_graph import Sizes, random_graph
from vitreous.spec import graph as graphs
from vitreous.spec import program as programs
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph, GraphError, Op
from vitreous.spec.isa import Opcode, ProgramError, make
from vitreous.spec.program import Placement, Program
from vitreous.spec.storage import StorageError, write_bytes, write_pair, write_text


def a_program() -> Program:
    config = AcceleratorConfig()
    code = (
        make(Opcode.FILL, memory=0, base=1, words=2, label="stem").with_tokens(wait=1, signal=2),
        make(Opcode.END),
    )
    image = np.random.default_rng(0).integers(0, 256, 1024).astype(np.uint8)
    image[64:128] = np.frombuffer(b"".join(i.encode() for i in code), np.uint8)
    placement = Placement(
        tensor="y", offset=64, kind="residual", shape=(3, 5), tile_stride=5, row_start=1, layer="head"
    )
    return Program(
        graph_name="g", config_digest=config.digest, config=config.as_dict(), instructions=code, image=image,
        program_offset=64, input_offset=128, input_shape=(1, 2, 3), write_size=512, placements=(placement,),
        output_tensor="y", macs=5,
        observed=True, notes={"scheme": "minmax"},
    )  # fmt: skip


def a_graph() -> Graph:
    graph = random_graph(Sizes())
    return dataclasses.replace(
        graph,
        macs=7,
        preprocessing={"mean": [0.5], "std": [0.25]},
        notes={"from": "a test", "list": [1, 2.5]},
    )


def same(a: Any, b: Any) -> bool:
    """Equality that looks into arrays."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return (
            isinstance(b, tuple) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
        )
    return bool(a == b)


Save = Callable[[Path], Any]
KINDS: list[tuple[Any, Callable[[Path], Any], type[Exception], str]] = [
    (a_graph, graphs, GraphError, "vitreous-graph-4"),
    (a_program, programs, ProgramError, "vitreous-program-3"),
]


@pytest.mark.parametrize(("build", "module", "error", "kind"), KINDS, ids=["graph", "program"])
def test_round_trip(build, module, error, kind, tmp_path: Path) -> None:
    thing = build()
    path = module.save(thing, tmp_path / "deep" / "thing.safetensors")
    assert same(module.load(path), thing)
    assert sorted(p.name for p in path.parent.iterdir()) == ["thing.json", "thing.safetensors"]
    module.save(thing, path)
    assert same(module.load(path), thing), "a second time over the first"


def test_the_comparison_sees_a_difference() -> None:
    graph = a_graph()
    embed = next(n for n in graph if n.name == "embed")
    weight = embed.constants["weight"].copy()
    weight[0, 0] ^= 1
    changed = dataclasses.replace(embed, constants={**embed.constants, "weight": weight})
    nodes = tuple(changed if n is embed else n for n in graph.nodes)
    assert not same(dataclasses.replace(graph, nodes=nodes), graph)


@pytest.mark.parametrize(("build", "module", "error", "kind"), KINDS, ids=["graph", "program"])
def test_files_that_are_missing_cut_off_or_foreign(build, module, error, kind, tmp_path: Path) -> None:
    path = module.save(build(), tmp_path / "thing.safetensors")
    side = path.with_suffix(".json")
    text, arrays = side.read_text(), path.read_bytes()
    with pytest.raises(error, match="absent.safetensors does not exist"):
        module.load(tmp_path / "absent.safetensors")
    for cut in (0, 7, 100, len(arrays) // 2, len(arrays) - 1):
        path.write_bytes(arrays[:cut])
        with pytest.raises(error, match="thing.safetensors is truncated or not a safetensors file"):
            module.load(path)
    path.write_bytes(arrays)
    for cut in (0, 1, len(text) // 2, len(text) - 1):
        side.write_text(text[:cut])
        with pytest.raises(error, match="thing.json is truncated or not JSON"):
            module.load(path)
    side.write_text(text.replace(kind, "something-else"))
    with pytest.raises(error, match=f"has format 'something-else'; expected '{kind}'"):
        module.load(path)
    side.write_text("[]")
    with pytest.raises(error, match="has format None"):
        module.load(path)
    content = json.loads(text)
    for key in content.keys() - {"format"}:
        side.write_text(json.dumps({k: v for k, v in content.items() if k != key}))
        with pytest.raises(error, match="thing.safetensors is not a complete (graph|program)"):
            module.load(path)
    side.unlink()
    with pytest.raises(error, match="thing.json does not exist"):
        module.load(path)


@pytest.mark.parametrize(("build", "module", "error", "kind"), KINDS, ids=["graph", "program"])
def test_files_have_the_modes_of_any_other_file(build, module, error, kind, tmp_path: Path) -> None:
    path = module.save(build(), tmp_path / "thing.safetensors")
    (tmp_path / "other").touch()
    assert (
        path.stat().st_mode == (tmp_path / "other").stat().st_mode == path.with_suffix(".json").stat().st_mode
    )


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["open", "replace"])
def test_a_file_is_whole_or_as_it_was(
    failure: BaseException, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_text(tmp_path / "new" / "file", "Größe")
    (tmp_path / "other").touch()
    assert (path.read_bytes(), path.stat().st_mode) == ("Größe".encode(), (tmp_path / "other").stat().st_mode)
    pair = graphs.save(a_graph(), tmp_path / "pair" / "g.safetensors")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def stop(*_: object, **__: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(os, step, stop)
        with pytest.raises(type(failure)):
            write_text(path, "cut")
        with pytest.raises((StorageError, KeyboardInterrupt)):
            write_pair(pair, {"image": np.zeros(1, np.uint8)}, {"format": "cut"})
    with pytest.raises(TypeError):
        write_bytes(path, "no bytes")  # type: ignore[arg-type]
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert write_bytes(path, b"again").read_bytes() == b"again"


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/g.safetensors cannot be written: \w+"):
        graphs.save(a_graph(), tmp_path / "file" / "g.safetensors")


def test_values_of_a_wrong_kind(tmp_path: Path) -> None:
    path = graphs.save(a_graph(), tmp_path / "g.safetensors")
    side = path.with_suffix(".json")
    text = side.read_text()
    for change, sentence in (
        (lambda t: t["nodes"][3].update(op="guess"), "is not a complete graph: .*'guess' is not a valid Op"),
        (lambda t: t["tensors"][3].update(shape=[1.5]), "every size must be a positive integer, not"),
    ):
        content = json.loads(text)
        change(content)
        side.write_text(json.dumps(content))
        with pytest.raises(GraphError, match=sentence):
            graphs.load(path)
    node = next(n for n in a_graph() if n.op is Op.SCORES)
    with pytest.raises(GraphError, match="attribute heads must be an integer, not '2'"):
        dataclasses.replace(node, attributes={"heads": "2"}).integer("heads")


def test_a_program_takes_its_input() -> None:
    program = a_program()
    image = np.arange(6, dtype=np.int8).reshape(1, 2, 3) - 3
    memory = program.with_input(image)
    assert memory[128:131].view(np.int8).tolist() == [-3, -2, -1]
    assert memory[160:163].view(np.int8).tolist() == [0, 1, 2]
    assert memory[:128].tolist() == program.image[:128].tolist()
    assert program.read_size == 1024
    for wrong in (image.astype(np.int16), image[0]):
        with pytest.raises(ProgramError, match=r"The input must be int8 \(1, 2, 3\), not"):
            program.with_input(wrong)
    with pytest.raises(ProgramError, match="Placement of y: kind must be one of panel, .*, not 'heap'"):
        Placement(tensor="y", offset=0, kind="heap", shape=(1, 1), tile_stride=1)
