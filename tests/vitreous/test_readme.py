"""Every figure of README.md is what the code of today gives, or what a page of results has recorded.

A figure that no row of ``FIGURES`` knows is an error: whoever writes one says here where it comes from.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks import validate
from campaigns.vectors import __main__ as vectors
from tests.support.tree import DOCS, ROOT
from vitreous import cli
from vitreous.compiler import compile as compile_graph
from vitreous.flow import steps
from vitreous.models.door import load
from vitreous.reports.report import ASSUMED_CLOCK_MHZ
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import load_accelerator
from vitreous.spec.graph import Graph, Op

README = (ROOT / "README.md").read_text()
CONFIG = load_accelerator("edge256")
IMAGES = {"sixteen": 16}
WORDS = {"four": 4, "six": 6, "ten million": 10_000_000}


class Demo(NamedTuple):
    """What of the demo can be computed without RTL."""

    graph: Graph
    macs: int
    values: int
    bytes: int
    cycles: int
    busy: int
    images: int
    correct_float: int
    correct_int: int


def number(text: str) -> float:
    return float(text.replace(",", ""))


def recorded_cycles() -> int:
    """Of fashion-vit on edge256, in RTL with the default memory."""
    page = (DOCS / "results" / "validate.md").read_text()
    match = re.search(r"^\| fashion-vit \| edge256 \| 64 \| 40 \| ([\d,]+) \|", page, re.MULTILINE)
    assert match
    return int(number(match[1]))


def defaults(main: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The defaults of a program's options."""
    found: dict[str, object] = {}

    class Stop(Exception):
        pass

    def parse(parser: argparse.ArgumentParser, *_: object) -> None:
        found.update({action.dest: action.default for action in parser._actions})
        raise Stop

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    with pytest.raises(Stop):
        main()
    return found


# What is no figure: names, widths that are a concept here, versions of others, statuses that tests/vitreous/test_cli.py
# checks.
NAMES = (
    r"edge\d+|ECP5(?:-85k)?|ULX3S|AXI4|float64|int8|Apache-2\.0|8-bit weights|of 16 bits|With 8 bits"
    r"|status [12]\b|`[^`\n]*`"
)
FIGURES = {
    "multipliers": r"\((\d+) multiply-accumulates a cycle as (\d+)×(\d+) lanes, (\d+) deep\)",
    "values": r"([\d,]+) values compared, 0 differ; ([\d,]+) bytes compared, 0 differ",
    "cycles": r"([\d,]+) cycles for one image, utilization ([\d.]+)%, occupancy ([\d.]+)%, "
    r"([\d.]+) ms at (\d+) MHz \(assumed\)",
    "accuracy": r"on the (\d+) shipped test images: float ([\d.]+) %, integer ([\d.]+) %",
    "bits": r"its probabilities have (\d+) bits",
    "python": r"Python (\d\.\d+) or newer",
    "validate": r"a row is over (\d+) %",
    "vectors": r"on all inputs, or on (ten million)",
}


def figures(name: str) -> tuple[str, ...]:
    """The groups of every place that has this figure: the same everywhere."""
    found = {match.groups() for match in re.finditer(FIGURES[name], README)}
    assert len(found) == 1, f"{name}: {found}"
    return found.pop()


def test_no_figure_is_unknown() -> None:
    text = re.sub(r"^```(?:sh|python|toml)\n.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    for pattern in (*FIGURES.values(), NAMES):
        text = re.sub(pattern, "", text)
    unknown = [line for line in text.splitlines() if re.search(r"\d", re.sub(r"\]\([^)]*\)", "", line))]
    assert not unknown, "\n".join(unknown)


def test_multipliers() -> None:
    array = CONFIG.array
    stated = tuple(map(int, figures("multipliers")))
    assert stated == (array.macs_per_cycle, array.lanes, array.lanes, array.depth)


def test_limits_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={figures('python')[0]}"
    assert number(figures("validate")[0]) == 100 * validate.LIMIT
    assert WORDS[figures("vectors")[0]] == defaults(vectors.main, monkeypatch)["count"]


def test_latency_and_utilization_follow_from_the_cycles() -> None:
    cycles, utilization, occupancy, milliseconds, clock = map(number, figures("cycles"))
    assert cycles == recorded_cycles()
    assert clock == ASSUMED_CLOCK_MHZ
    assert f"{cycles / clock / 1e3:.3f}" == f"{milliseconds:.3f}"
    assert 0 < utilization < occupancy < 100


@pytest.fixture(scope="module")
def demo() -> Demo:
    model = load("fashion-vit")
    graph = steps.quantize(model, CONFIG)
    program = compile_graph(graph, CONFIG)
    predicted = predict(program, CONFIG, MemoryTiming())
    observed = compile_graph(graph, CONFIG, observe=True)
    assert model.test_labels is not None
    labels = model.test_labels.numpy()
    images = steps.inputs_of(graph, model.test_images.numpy())
    stored = [placement.shape for made in (program, observed) for placement in made.placements]
    return Demo(
        graph=graph,
        macs=graph.macs,
        values=sum(int(np.prod(shape)) for shape in stored),
        bytes=program.write_size,
        cycles=predicted.cycles,
        busy=predicted.counters["array_busy"],
        images=len(labels),
        correct_float=int((steps.float_logits(model).argmax(1) == labels).sum()),
        correct_int=int((steps.integer_logits(graph, images).argmax(1) == labels).sum()),
    )


@pytest.mark.slow
def test_the_demo_is_what_the_page_says(demo: Demo) -> None:
    (images,) = (count for word, count in IMAGES.items() if f"\n{word.capitalize()} test images" in README)
    values, octets = map(number, figures("values"))
    assert (values, octets) == (images * demo.values, images * demo.bytes)
    cycles, utilization, occupancy, _, _ = map(number, figures("cycles"))
    assert cycles == pytest.approx(demo.cycles, rel=validate.LIMIT)
    assert f"{demo.macs / cycles / CONFIG.array.macs_per_cycle:.1%}" == f"{utilization:.1f}%"
    assert f"{demo.busy / cycles:.1%}" == f"{occupancy:.1f}%"
    count, accuracy_float, accuracy_int = map(number, figures("accuracy"))
    assert count == demo.images
    assert f"{100 * demo.correct_float / count:.2f}" == f"{accuracy_float:.2f}"
    assert f"{100 * demo.correct_int / count:.2f}" == f"{accuracy_int:.2f}"
    (bits,) = {node.integer("probability_bits") for node in demo.graph if node.op is Op.SOFTMAX}
    assert number(figures("bits")[0]) == bits - 1, "a byte without its sign"


def test_every_command_of_the_page_is_one() -> None:
    known = {command.name for command in cli.app.registered_commands}
    named = set(re.findall(r"^vitreous ([a-z-]+)", README, re.MULTILINE))
    assert named
    assert named <= known


def test_every_extra_is_in_the_table() -> None:
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    table = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert sorted(table) == sorted(set(optional) - {"dev"})
