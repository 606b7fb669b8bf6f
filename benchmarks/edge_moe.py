"""``python -m benchmarks.edge_moe``: a published machine's latency from its structure, our design beside it, and other
tools' figures for DeiT-Tiny; with ``--page`` into docs/comparison.md.

Edge-MoE (arXiv 2305.18691 and its published HLS source): features of 32 bits, weights of 16, eight features in a block
of 256 bits, masters of 256 bits on DDR ports of 128; a linear unit of 16 x 16 and an attention unit of 4 queries x 8
channels, each one step a cycle; stages one after the other, and inside a stage reading, computing, writing at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.support.compiler.graphs import random_vit_graph
from vitreous.compiler import compile
from vitreous.sim.cycles import predict
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig, load_accelerator
from vitreous.spec.layout import ceil_div
from vitreous.spec.storage import write_text

PUBLISHED_MS = 34.64
CLOCK_MHZ = 300.0
DIM, HEADS, LAYERS, TOKENS, HIDDEN = 192, 3, 12, 129, 768
EXPERTS, EXPERT_HIDDEN, TOP = 16, 384, 2
PATCHES, PATCH_VALUES = 128, 3 * 16 * 16
BLOCK_BITS, FEATURE_BITS, WEIGHT_BITS = 256, 32, 16
LINEAR, QUERIES, CHANNELS, PATCH_MACS = 16, 4, 8, 256
MARK = "<!-- results -->"


@dataclass(frozen=True)
class Port:
    """A DDR port: its width, and what hides its latency. Bursts are Vitis HLS's default: 16 transfers of a block, 16
    of them outstanding."""

    bits: int = 128
    latency: int = 40
    outstanding: int = 16
    burst_blocks: int = 16

    def cycles(self, blocks: int) -> int:
        """Of a stream of ``blocks``: a beat a cycle, or what the outstanding bursts allow."""
        beats = blocks * ceil_div(BLOCK_BITS, self.bits)
        bursts = ceil_div(blocks, self.burst_blocks)
        longest = ceil_div(beats, bursts)
        return max(beats, bursts * (longest + self.latency) // self.outstanding) + self.latency


@dataclass(frozen=True)
class Stage:
    """``count`` times: ``compute`` cycles of a unit while its longest stream moves in ``transfer``."""

    name: str
    count: int
    macs: int
    compute: int
    transfer: int

    @property
    def cycles(self) -> int:
        return self.count * max(self.compute, self.transfer)


def feature_blocks(tokens: int, channels: int) -> int:
    """Blocks of 256 bits that hold these features."""
    return tokens * ceil_div(channels * FEATURE_BITS, BLOCK_BITS)


def weight_blocks(inputs: int, outputs: int) -> int:
    """Blocks of 256 bits that hold a layer's weights."""
    return ceil_div(inputs * outputs * WEIGHT_BITS, BLOCK_BITS)


def linear(name: str, count: int, tokens: int, inputs: int, outputs: int, port: Port) -> Stage:
    """Weights are on chip (the load of the next ones runs meanwhile); features in and out have ports of their own."""
    compute = tokens * ceil_div(inputs, LINEAR) * ceil_div(outputs, LINEAR)
    longest = max(feature_blocks(tokens, inputs), feature_blocks(tokens, outputs))
    return Stage(name, count, tokens * inputs * outputs, compute, port.cycles(longest))


def attention(name: str, port: Port) -> Stage:
    """A block of K or V is read again for every four queries, one a cycle: constant, but twice the port."""
    steps = ceil_div(TOKENS, QUERIES) * TOKENS * DIM // CHANNELS
    return Stage(name, LAYERS, TOKENS * TOKENS * DIM, steps, port.cycles(steps))


def experts(name: str, loads: list[int], port: Port) -> list[Stage]:
    """One after the other; the load of the next weights runs beside the product, the first one alone."""
    weights, layers = port.cycles(weight_blocks(DIM, EXPERT_HIDDEN)), LAYERS // 2
    steps = ceil_div(DIM, LINEAR) * ceil_div(EXPERT_HIDDEN, LINEAR)
    stages = [
        Stage(
            f"{name}, {tokens} tokens",
            2 * layers * loads.count(tokens),
            tokens * DIM * EXPERT_HIDDEN,
            tokens * steps,
            weights,
        )
        for tokens in sorted(set(loads))
        if tokens
    ]
    return [*stages, Stage("experts, first weights", layers, 0, 0, weights)]


def uniform_loads() -> list[int]:
    """Tokens of each expert where all are equally popular."""
    whole, rest = divmod(TOKENS * TOP, EXPERTS)
    return [whole + (expert < rest) for expert in range(EXPERTS)]


def edge_moe(port: Port, loads: list[int] | None = None) -> list[Stage]:
    """All stages of one M3ViT-Tiny image."""
    features = port.cycles(feature_blocks(TOKENS, DIM))
    moe = LAYERS // 2
    # Scores of 16 experts: 24 steps for a token, then the softmax at 3 cycles each; the top two are found meanwhile.
    gate = TOKENS * (DIM // CHANNELS + 3 * EXPERTS)
    patches = PATCHES * PATCH_VALUES * DIM
    return [
        Stage("patch embedding", 1, patches, patches // PATCH_MACS, features),
        Stage("layer norm", 2 * LAYERS, 0, TOKENS * DIM // CHANNELS, features),
        linear("q, k, v, projection", 4 * LAYERS, TOKENS, DIM, DIM, port),
        attention("q·k", port),
        attention("p·v", port),
        Stage("residual addition", 2 * LAYERS, 0, TOKENS * DIM // CHANNELS, features),
        linear("dense MLP, first", LAYERS - moe, TOKENS, DIM, HIDDEN, port),
        linear("dense MLP, second", LAYERS - moe, TOKENS, HIDDEN, DIM, port),
        Stage("gate", moe, TOKENS * DIM * EXPERTS, gate, features),
        Stage("experts, clear the output", moe, 0, 0, features),
        *experts("experts", loads or uniform_loads(), port),
    ]


def cycles(stages: list[Stage]) -> int:
    """Of all stages, one after the other."""
    return sum(stage.cycles for stage in stages)


def macs(stages: list[Stage]) -> int:
    """Multiply-accumulates of all stages."""
    return sum(stage.count * stage.macs for stage in stages)


def mac_only(stages: list[Stage]) -> int:
    """What a count of operations gives: MACs over the MACs a cycle of each unit."""
    attend = sum(s.count * s.macs for s in stages if s.name in ("q·k", "p·v"))
    return (macs(stages) - attend) // (LINEAR * LINEAR) + attend // (QUERIES * CHANNELS)


def weights_alone(port: Port) -> int:
    """Cycles more where the dense weights are not loaded during the previous stage."""
    dense = 4 * LAYERS * port.cycles(weight_blocks(DIM, DIM))
    return dense + 2 * (LAYERS - LAYERS // 2) * port.cycles(weight_blocks(DIM, HIDDEN))


def milliseconds(count: float) -> float:
    """Of cycles at ``CLOCK_MHZ``."""
    return count / (CLOCK_MHZ * 1e3)


# ------------------------------------------------------------------------------------------------------ our machine
def with_bus(name: str, bits: int) -> AcceleratorConfig:
    """A named accelerator with another bus."""
    config = load_accelerator(name)
    return dataclasses.replace(config, bus=dataclasses.replace(config.bus, data_bits=bits))


def vit_cycles(config: AcceleratorConfig, image: tuple[int, int], mlp: int, classes: int) -> int:
    """A compiled ViT of 192 channels, 3 heads and 12 layers on the cycle model; its weights do not matter."""
    graph = random_vit_graph(
        1, image=image, patch=16, dim=DIM, heads=HEADS, depth=LAYERS, mlp=mlp, classes=classes
    )
    return predict(compile(graph, config), config, MemoryTiming()).cycles


def our_experts(config: AcceleratorConfig, loads: list[int]) -> int:
    """One MoE layer, expert by expert: the array's tiles, or the weights of the next expert through the port."""
    lanes, depth = config.array.lanes, config.array.depth
    tile = ceil_div(EXPERT_HIDDEN, lanes) * ceil_div(DIM, depth) + ceil_div(DIM, lanes) * ceil_div(
        EXPERT_HIDDEN, depth
    )
    weights = ceil_div(2 * DIM * EXPERT_HIDDEN, config.bus.beat_bytes)
    gate = ceil_div(TOKENS, lanes) * ceil_div(EXPERTS, lanes) * ceil_div(DIM, depth)
    return gate + sum(max(ceil_div(tokens, lanes) * tile, weights) for tokens in loads if tokens)


@dataclass(frozen=True)
class Ours:
    """M3ViT-Tiny on our machine: the compiled ViT of the same shape, its MLPs, and with six of them as experts."""

    dense: int
    mlps: int
    uniform: int
    worst: int


def ours(config: AcceleratorConfig) -> Ours:
    """The dense ViT is compiled and predicted; the time of its MLPs is the difference to one with MLPs of one tile."""
    dense = vit_cycles(config, (128, 256), HIDDEN, 10)
    narrow = config.array.lanes
    small = vit_cycles(config, (128, 256), narrow, 10)
    mlps = (dense - small) * HIDDEN // (HIDDEN - narrow)
    rest = dense - mlps // 2
    worst = [TOKENS] * TOP + [0] * (EXPERTS - TOP)
    moe = LAYERS // 2
    return Ours(
        dense,
        mlps,
        rest + moe * our_experts(config, uniform_loads()),
        rest + moe * our_experts(config, worst),
    )


# ------------------------------------------------------------------------------------------------------ the page
OTHERS = (
    ("SCALE-Sim 3.0, os", 5.95e6, "92–98 s", "matrix products only"),
    ("SCALE-Sim 3.0, ws", 6.12e6, "92–98 s", "matrix products only"),
    ("ZigZag 3.9.1, ws", 5.61e6, "16 s", "matrix products only"),
    (
        "Vela 5.2, Ethos-U85 with 256 MAC",
        26.5e6,
        "5 s",
        "whole network; another array and its own memory system",
    ),
)
"""Published tools on DeiT-Tiny, 16 x 16 int8; measured with them before this project."""


def _published_lines() -> list[str]:
    port = Port()
    stages = edge_moe(port)
    total = cycles(stages)
    error = milliseconds(total) / PUBLISHED_MS - 1
    lines = [
        "| stage | times | compute | transfer | cycles in all | ms |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {s.name} | {s.count} | {s.compute:,} | {s.transfer:,} | {s.cycles:,} | {milliseconds(s.cycles):.2f} |"
            for s in stages
        ),
        f"| **all** ({macs(stages) / 1e6:.1f} M MAC) | | | | {total:,} | **{milliseconds(total):.2f}** |",
        "",
        f"Published: {PUBLISHED_MS} ms. The calculation gives {milliseconds(total):.2f} ms, **{100 * error:+.1f} %**. "
        f"MACs over MACs a cycle give {milliseconds(mac_only(stages)):.2f} ms, "
        f"{PUBLISHED_MS / milliseconds(mac_only(stages)):.2f}× too fast.",
        "",
        "| what is assumed otherwise | ms | against the published |",
        "| --- | --- | --- |",
    ]
    worst = [TOKENS] * TOP + [0] * (EXPERTS - TOP)
    other = (
        ("dense weights not loaded beside the stage before", total + weights_alone(port)),
        ("latency of 200 cycles", cycles(edge_moe(Port(latency=200)))),
        ("ports of 256 bits", cycles(edge_moe(Port(bits=256)))),
        ("all tokens choose the same two experts", cycles(edge_moe(port, worst))),
    )
    for name, count in other:
        lines.append(
            f"| {name} | {milliseconds(count):.2f} | {100 * (milliseconds(count) / PUBLISHED_MS - 1):+.1f} % |"
        )
    return lines


def _our_lines() -> list[str]:
    lines = [
        "| bus | dense ViT of the same shape (compiled) | M3ViT-Tiny, uniform routing | all to two experts | "
        "uniform, per MAC of 288 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for bits in (64, 128, 256):
        mine = ours(with_bus("edge256", bits))
        lines.append(
            f"| {bits} | {milliseconds(mine.dense):.2f} ms | **{milliseconds(mine.uniform):.2f} ms** "
            f"| {milliseconds(mine.worst):.2f} ms | {milliseconds(mine.uniform * 256 / 288):.2f} ms |"
        )
    return lines


def _tool_lines() -> list[str]:
    lines = ["| tool | cycles | time to run it | covers |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {count / 1e6:.2f} M | {took} | {what} |" for name, count, took, what in OTHERS]
    for name in ("square256", "edge256"):
        config = load_accelerator(name)
        graph = random_vit_graph(
            1, image=(224, 224), patch=16, dim=DIM, heads=HEADS, depth=LAYERS, mlp=HIDDEN, classes=1000
        )
        started = time.process_time()
        program = compile(graph, config)
        compiled = time.process_time()
        prediction = predict(program, config, MemoryTiming())
        ended = time.process_time()
        array = prediction.counters["array_busy"]
        lines.append(
            f"| ours, {name} ({config.array.lanes}×{config.array.lanes}×{config.array.depth}) "
            f"| {prediction.cycles / 1e6:.2f} M (array busy {array / 1e6:.2f} M) "
            f"| {ended - compiled:.2f} s, and {compiled - started:.2f} s to compile | the whole network, every cycle |"
        )
    return lines


def page(text: str) -> str:
    """``text`` with what is between each pair of marks replaced by today's figures."""
    parts = text.split(MARK)
    how = f"`python -m benchmarks.edge_moe --page docs/comparison.md` on {date.today().isoformat()}."
    for index, lines in ((1, _published_lines()), (3, _our_lines()), (5, _tool_lines())):
        parts[index] = "\n" + "\n".join([how, "", *lines]) + "\n"
    return MARK.join(parts)


def main() -> int:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="the page whose tables to replace")
    arguments = parser.parse_args()
    if arguments.page:
        write_text(arguments.page, page(arguments.page.read_text(encoding="utf-8")))
    else:
        print("\n".join([*_published_lines(), "", *_our_lines(), "", *_tool_lines()]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
