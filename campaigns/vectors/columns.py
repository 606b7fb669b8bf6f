"""Layer norm and RMS norm from columns of the residual stream to words of int8, channels shifted: the vector unit's
pipeline, of a word a column."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from campaigns.vectors.case import LANES, Case, tensor
from campaigns.vectors.norms import instructions, rows_of_values
from vitreous.golden.norm.constants import NormConstants
from vitreous.golden.norm.norm import norm
from vitreous.hw.vector.pipeline import NormPipeline, NormTask, norm_latency
from vitreous.sim.bench.vectors import Block
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, NormConfig
from vitreous.spec.numbers import CHANNEL_SHIFT_MAX
from vitreous.spec.variants import NormVariant, in_hardware

_PASSES = ("mean", "statistics", "normalize")


def _schedule(
    config: AcceleratorConfig, tiles: int, channels: int, centred: bool
) -> tuple[dict[str, np.ndarray], list[int], int]:
    """First reads of each pass of each tile, the cycles of ``done``, and all cycles; ``begin`` is in cycle 0."""
    latency = norm_latency(config)
    starts: dict[str, list[int]] = {name: [] for name in _PASSES}
    cycle, done = 1, []
    for _ in range(tiles):
        if config.norm.mean_pass and centred:
            starts["mean"].append(cycle)
            cycle = max(cycle + channels - 1 + latency.mean, latency.mean_after_begin)
            done.append(cycle - 1)
        starts["statistics"].append(cycle)
        cycle += channels - 1 + latency.scale
        done.append(cycle - 1)
        starts["normalize"].append(cycle)
        cycle += channels
    found = {name: np.array(cycles, np.int64) for name, cycles in starts.items() if cycles}
    return found, done, cycle + latency.column


def _instruction(
    config: AcceleratorConfig, rng: np.random.Generator, tiles: int, channels: int, *, centred: bool
) -> Block:
    epsilon = int(rng.choice([1, (1 << 32) - 1, int(np.exp2(rng.uniform(0, 32)))]))
    multiplier, shift = int(rng.integers(1 << 14, 1 << 15)), int(rng.integers(1, 19))
    zero_point = int(rng.integers(-128, 128))
    values = rows_of_values(rng, tiles * LANES, channels)
    shifts = rng.integers(0, CHANNEL_SHIFT_MAX + 1, channels)
    constants = NormConstants(multiplier, shift, epsilon, zero_point, tensor(shifts))
    y = norm(tensor(values), config.norm, constants, centred=centred)
    starts, done, cycles = _schedule(config, tiles, channels, centred)
    task = dict.fromkeys((name for name, _ in NormTask()), 0) | {
        "channels": channels, "epsilon": epsilon, "multiplier": multiplier, "shift": shift,
        "zero_point": zero_point, "centred": int(centred), "shifted": 1,
    }  # fmt: skip
    passes = _PASSES if config.norm.mean_pass else _PASSES[1:]
    stimulus = {f"task.{name}": np.full(cycles, value) for name, value in task.items()}
    stimulus |= {f"read.{name}": np.zeros(cycles, np.int64) for name in (*passes, "pool")}
    stimulus |= {
        "begin": (np.arange(cycles) == 0).astype(np.int64),
        "tag.position": np.zeros(cycles, np.int64),
    }
    # What is not read is anything.
    stimulus |= {f"tag.{name}": rng.integers(0, 2, cycles) for name in ("first", "last")}
    stimulus["tag.channel_shift"] = rng.integers(0, CHANNEL_SHIFT_MAX + 1, cycles)
    stimulus["column"] = rng.integers(0, 256, (cycles, 2 * LANES))

    def columns(rows: np.ndarray) -> np.ndarray:
        """[tiles * LANES, channels] -> [tiles * channels, LANES]."""
        return rows.reshape(tiles, LANES, channels).transpose(0, 2, 1).reshape(-1, LANES)

    raw = np.ascontiguousarray(columns(values), "<i2").view(np.uint8)
    for name, first in starts.items():
        at = (first[:, None] + np.arange(channels)).ravel()
        stimulus[f"read.{name}"][at] = 1
        stimulus["tag.first"][at], stimulus["tag.last"][at] = 0, 0
        stimulus["tag.first"][first], stimulus["tag.last"][first + channels - 1] = 1, 1
        stimulus["column"][at + 1] = raw  # the data of a read comes in the next cycle
    stimulus["tag.channel_shift"][at] = np.tile(shifts, tiles)
    words = np.zeros(cycles, np.uint64)
    words[at] = np.ascontiguousarray(columns(y.numpy())).view("<u8").ravel()
    normalized, last = stimulus["read.normalize"], stimulus["tag.last"]
    expected = {"word": words, "push": normalized, "last": last, "normalized": normalized}
    expected["done"] = np.zeros(cycles, np.int64)
    expected["done"][done] = 1
    return Block(stimulus=stimulus, expected=expected, check={"word": normalized.astype(bool)})


def column_blocks(config: AcceleratorConfig, rng: np.random.Generator, count: int) -> Iterator[Block]:
    """Each block is one instruction with its own number of channels, shifts and constants."""
    for tiles, channels, centred in instructions(rng, count):
        yield _instruction(config, rng, tiles, channels, centred=centred)


def _normalized(block: Block) -> int:
    return LANES * int(np.count_nonzero(block.check["word"]))


def cases() -> list[Case]:
    """Of this file."""
    found = []
    for variant in in_hardware(NormVariant):
        config = AcceleratorConfig(array=ArrayConfig(lanes=LANES, depth=1), norm=NormConfig(variant=variant))
        column = norm_latency(config).column
        found.append(
            Case(
                unit="NormPipeline",
                variant=variant,
                space="columns of rows of 1 to 4096 channels, shifts of channels, epsilon, m_o, s_o, zero point",
                make=partial(NormPipeline, config),
                blocks=partial(column_blocks, config),
                counted=_normalized,
                latency={"word": column, "push": column, "last": column, "done": 0, "normalized": 1},
            )
        )
    return found
