"""Random sizes and random accelerators for random graphs, with memories that just hold them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from vitreous.spec import config
from vitreous.spec.variants import SoftmaxVariant


def _sizes(pick: np.random.Generator) -> dict[str, Any]:
    """Sizes that N and V do not divide, one token, one head, K smaller than N."""
    patch = int(pick.integers(1, 6) if pick.integers(4) else pick.integers(6, 11))
    grid = (int(pick.integers(1, 6)), int(pick.integers(1, 6)))
    heads = int(pick.integers(1, 4))
    width = int(pick.integers(1, 13))
    return {
        "image": (grid[0] * patch, grid[1] * patch),
        "patch": patch,
        "channels": int(pick.integers(1, 4)),
        "dim": heads * width,
        "heads": heads,
        "depth": int(pick.integers(1, 3)),
        "mlp": int(pick.integers(1, 60) if pick.integers(3) else pick.integers(150, 400)),
        "class_token": bool(pick.integers(2)),
        "classes": int(pick.integers(1, 40)),
        "nonlinearity": str(pick.choice(["gelu", "relu"])),
    }


def _many_tokens(sizes: dict[str, Any], pick: np.random.Generator) -> dict[str, Any]:
    """The same patches on a larger image: rows of two or three blocks of keys."""
    patch = sizes["patch"]
    rows, columns = (int(pick.integers(10, 14)) for _ in range(2))
    return {"image": (rows * patch, columns * patch), "depth": 1}


def random_case(seed: int) -> tuple[dict[str, Any], config.AcceleratorConfig]:
    """Keyword arguments of ``random_vit_graph`` (seed included) and an accelerator for it, its memories just
    large enough or a little more. Cases 0 to 3 are the extremes: one token, heads of one channel, K smaller than N,
    everything in one tile. Every tenth has 100 tokens and more."""
    pick = np.random.default_rng(seed)
    sizes = _sizes(pick)
    lanes = int(pick.choice([4, 8, 16, 32], p=[0.4, 0.3, 0.2, 0.1]))
    depth = int(pick.choice([1, 2, 4, 8]))
    if seed == 0:
        sizes |= {"image": (3, 3), "patch": 3, "class_token": False}
    elif seed == 1:
        sizes |= {"heads": 2, "dim": 2}
    elif seed == 2:
        lanes, depth = 32, 8
        sizes |= {"dim": 6, "heads": 2, "mlp": 5}
    elif seed == 3:
        lanes = 16
        sizes |= {"image": (6, 4), "patch": 2, "class_token": True}
    units = _units(np.random.default_rng(seed + 5000))
    if seed % 10 == 9:
        sizes |= _many_tokens(sizes, np.random.default_rng(seed + 7000))
        units["softmax"] = replace(units["softmax"], variant=SoftmaxVariant.BASE2)
    tokens = (sizes["image"][0] // sizes["patch"]) * (sizes["image"][1] // sizes["patch"]) + sizes[
        "class_token"
    ]
    accelerator = config.AcceleratorConfig(
        name=f"random-{seed}",
        array=config.ArrayConfig(lanes=lanes, depth=depth),
        memory=_memories(pick, sizes, tokens, lanes, depth),
        bus=config.BusConfig(
            data_bits=int(pick.choice([64, 128, 256])),
            burst_beats=int(pick.choice([4, 8, 16, 32, 64])),
            outstanding_reads=int(pick.choice([1, 2, 4, 8, 16])),
        ),
        softmax=units["softmax"],
        activation=units["activation"],
        norm=units["norm"],
        queue=config.QueueConfig(depth=int(pick.choice([2, 4, 8, 16, 32]))),
    )
    return {"seed": seed, **units, **sizes}, accelerator


def _units(pick: np.random.Generator) -> dict[str, Any]:
    """Every variant of every nonlinear unit, in any combination; layers of both widths where there are two."""
    softmax = config.SoftmaxConfig(
        variant=str(pick.choice(["base2", "online", "ibert", "ita"])),
        fraction_bits=int(pick.integers(6, 10)),
        probability_bits=int(pick.choice([8, 16, 16])),
    )
    function = str(pick.choice(["gelu", "silu"]))
    variants = ["delta", "table", "shift"] + ["poly"] * (function == "gelu")
    activation = config.ActivationConfig(
        function=function,
        variant=str(pick.choice(variants)),
        step_bits=int(pick.integers(2, 9)),
        range=float(
            pick.choice([3.0, 4.5, 6.0, 8.0, 16.0] if function == "gelu" else [8.0, 10.0, 12.0, 16.0])
        ),
        fraction_bits=int(pick.integers(10, 23)),
        interpolate=bool(pick.integers(2)),
    )
    widths = (
        ((8,), (16,), (8, 16), (16, 8))[int(pick.integers(4))] if softmax.probability_bits == 16 else (8,)
    )
    return {
        "softmax": softmax,
        "activation": activation,
        "norm": config.NormConfig(variant=str(pick.choice(["one_pass", "two_pass"]))),
        "centred": bool(pick.integers(2)),
        "widths": widths,
        "shifted": bool(pick.integers(2)),
    }


def _memories(
    pick: np.random.Generator, sizes: dict[str, Any], tokens: int, lanes: int, depth: int
) -> config.MemoryConfig:
    """Memories that hold the least that a plan needs, in half of the cases with a random factor of 1 to 2."""
    factor = float(pick.uniform(1.0, 2.0)) if pick.integers(2) else 1.0

    def aligned(value: int, unit: int) -> int:
        return -(-value // unit) * unit

    def kib(count: int) -> int:
        return max(1, math.ceil(max(count * factor, 2 * lanes * max(depth, 2)) / 1024))

    rows, dim, heads = aligned(tokens, lanes), sizes["dim"], sizes["heads"]
    width = aligned(dim // heads, depth)
    hidden, patches = aligned(sizes["mlp"], depth), aligned(sizes["channels"] * sizes["patch"] ** 2, depth)
    panel, context = rows * aligned(dim, depth), rows * width * heads
    # One row tile of the hidden tensor at a time; two of the patches', with what a row of the grid reaches beyond them.
    reach = aligned(sizes["image"][1] // sizes["patch"], lanes) + 2 * lanes
    x = max(panel + context + rows * width, panel + lanes * hidden, panel + min(rows, reach) * patches)
    w = rows * width + aligned(width, lanes) * aligned(tokens, depth)
    w += max(lanes, depth) * max(width * heads, aligned(dim, depth), hidden, patches)
    r = 2 * (rows * dim + lanes * max(sizes["classes"], dim))
    return config.MemoryConfig(
        activation_kib=kib(x),
        weight_kib=kib(w),
        residual_kib=kib(r),
        parameter_entries=int(pick.choice([64, 96, 256, 1024] if lanes > 8 else [32, 64, 256])),
        score_keys=aligned(tokens, 8) + 8 * int(pick.integers(0, 3)),
    )
