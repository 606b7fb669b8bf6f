"""Synthetic recorded runs: small enough for numbers by hand, and one as large as a real model for the page."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from tests.support.instructions import zeros
from vitreous.reports.record.record import FORMAT, Record, from_dict
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, BusConfig
from vitreous.spec.isa import COUNTERS, Instruction, Memory, Opcode, Operands, Queue, Scale, make
from vitreous.spec.opcodes.causes import Cause

CONFIG = AcceleratorConfig(name="tiny", array=ArrayConfig(lanes=4, depth=2), bus=BusConfig(data_bits=64))
"""32 MAC a cycle, words of 8 bytes in X and W."""


SETTING: dict[str, Any] = {
    "technology": "asic-28nm",
    "dram": "ddr4",
    "clock_mhz": 200.0,
    "memory_latency": 40,
    "memory_throughput": 100,
}
"""What made-up ablations and explorations were made with."""


def matmul(label: str, *, row_tiles: int, columns: int, k_words: int, **fields: int) -> Instruction:
    """From X and W to X, scaled by column, but for ``fields``."""
    sizes = {"row_tiles": row_tiles, "columns": columns, "k_words": k_words}
    return zeros(Opcode.MATMUL, label=label, **{"multiplier": 1, "shift": 1, **sizes, **fields})


def transfer(opcode: Opcode, label: str, memory: Memory) -> Instruction:
    return make(
        opcode, label=label, memory=memory, base=0, words=1, rows=1, stride=1, dram_offset=0, dram_stride=0
    )


def norm(label: str) -> Instruction:
    fields = {"r_base": 0, "r_stride": 1, "channels": 4, "row_tiles": 1, "x_base": 0, "x_stride": 1}
    constants = {"epsilon": 1, "multiplier": 1, "shift": 1, "zero_point": 0, "centred": 1}
    return make(Opcode.NORM, label=label, **fields, **constants, shifted=0, shift_base=0)


def counters(**values: int) -> dict[str, int]:
    return {**dict.fromkeys((name for name, _ in COUNTERS), 0), **values}


def attention(layer: str, bits: int) -> dict[str, Any]:
    """4096 cycles with one pass, 8192 with two; nothing was measured of two."""
    widths = [
        {"bits": 8, "cycles": 4096, "error": 0.0173, "rounding": 0.0061, "mass": 0.0123, "worst": 0.0571},
        {"bits": 16, "cycles": 8192, "error": None, "rounding": None, "mass": None, "worst": None},
    ]
    return {
        "name": f"{layer}.out",
        "layer": layer,
        "heads": 3,
        "queries": 50,
        "keys": 50,
        "probability_bits": bits,
        "gain": {
            "attentions": [f"{layer}.out"],
            "part": {8: 0.031, 16: 0.254}[bits],
            "interval": {8: [-0.2, 0.2], 16: [0.21, 0.295]}[bits],
        },
        "widths": widths,
    }


PROBABILITIES: dict[str, Any] = {
    "reason": "measured",
    "images": 8,
    "margin": 0.1,
    "errors": {"narrow": 0.0233, "wide": 0.0195, "chosen": 0.0201},
    "gain": {"attentions": ["first.out", "second.out"], "part": 0.3, "interval": [0.25, 0.35]},
}
"""Why one attention of two has 16 bits."""


QUALITY: dict[str, Any] = {
    "images": 4,
    "output_error": 0.0123,
    "losses": [{"operation": "first.norm", "error": 0.009}, {"operation": "all weights", "error": 0.004}],
    "saturation": ["first: 0.10% of the rows of scores saturate; fewer fraction bits"],
}


def buffer(
    name: str, memory: str, base: int, words: int, first: int, last: int, layer: str = ""
) -> dict[str, Any]:
    return {
        "name": name,
        "memory": memory,
        "layer": layer or name.partition(" ")[0],
        "base": base,
        "words": words,
        "first_pc": first,
        "last_pc": last,
    }


def transfers(program: Sequence[Instruction]) -> list[dict[str, Any]]:
    """Every LOAD brings the weights of its layer, after the first one again; every STORE takes the output away."""
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    for pc, i in enumerate(program):
        if i.opcode is Opcode.LOAD:
            cause = Cause.WEIGHTS_AGAIN if i.label in seen else Cause.WEIGHTS
            seen.add(i.label)
            found.append({"pc": pc, "tensor": f"{i.label}.weight", "cause": cause.value})
        elif i.opcode is Opcode.STORE:
            found.append({"pc": pc, "tensor": "logits", "cause": Cause.OUTPUT.value})
    return found


def memory_data(program: Sequence[Instruction], buffers: list[dict[str, Any]]) -> dict[str, Any]:
    """Read window: one word of weights at 0, the input at 64, the program at 128. The logits are the write window."""
    return {
        "read_bytes": 128 + 32 * len(program),
        "write_bytes": 64,
        "program_offset": 128,
        "input_offset": 64,
        "input_bytes": 48,
        "stored": [{"tensor": "logits", "layer": "second", "offset": 0, "bytes": 48}],
        "buffers": buffers,
        "transfers": transfers(program),
    }


# (queue, number of the instruction, issued, complete)
SPANS = [
    (Queue.LOAD, 0, 2, 12),
    (Queue.MATRIX, 1, 13, 42),
    (Queue.VECTOR, 2, 42, 60),
    (Queue.MATRIX, 3, 61, 85),
    (Queue.STORE, 4, 85, 95),
]
COUNTED = counters(
    cycles=100,
    array_busy=30,
    matrix_wait_load=12,
    matrix_wait_vector=18,
    matrix_stall_readout=5,
    matrix_empty=20,
    load_busy=10,
    vector_busy=18,
    vector_wait_token=40,
    store_busy=10,
    load_beats=1,
    fetch_beats=24,
    store_beats=1,
    x_reads=30,
    r_writes=3,
    s_writes=2,
    p_reads=4,
)
CHECKS = [
    {
        "name": "outputs",
        "reference": "golden.interpreter",
        "unit": "value",
        "images": 2,
        "tensors": [{"tensor": "logits", "layer": "second", "compared": 6, "different": 0}],
    },
    {
        "name": "write window",
        "reference": "golden.machine",
        "unit": "byte",
        "images": 2,
        "tensors": [{"tensor": "logits", "layer": "second", "compared": 48, "different": 0}],
    },
]


def record_data() -> dict[str, Any]:
    """Two layers of 2 * 2 * 5 = 20 and 1 * 1 * 10 = 10 array words in 100 cycles; two images."""
    program = (
        transfer(Opcode.LOAD, "first", Memory.W),
        matmul("first", row_tiles=2, columns=8, k_words=5),
        norm("norm"),
        matmul("second", row_tiles=1, columns=3, k_words=10, destination=Memory.R, residual=1),
        transfer(Opcode.STORE, "second", Memory.R),
        make(Opcode.END),
    )
    images = [
        {"index": 0, "counters": {**COUNTED}, "simulated_cycles": 104, "seconds": 0.5},
        {"index": 1, "counters": {**COUNTED, "cycles": 102}, "simulated_cycles": 106, "seconds": 0.25},
    ]
    return {
        "format": FORMAT,
        "model": {
            "name": "two-layers",
            "source": "written by hand",
            "macs": 800,
            "layers": [
                {"label": "first", "macs": 600, "error": 0.004},
                {"label": "second", "macs": 200, "error": None},
            ],
            "attention": [attention("first", 16), attention("second", 8)],
            "probabilities": PROBABILITIES,
            "quality": QUALITY,
        },
        "config": CONFIG.as_dict(),
        "instructions": [[i.encode().hex(), i.label] for i in program],
        "memory": memory_data(
            program,
            [
                buffer("first weights", "W", 0, 1, 0, 1),
                buffer("first out", "X", 0, 16, 1, 2),
                buffer("norm out", "X", 16, 4, 2, 3),
                buffer("second out", "R", 4, 3, 3, 4),
            ],
        ),
        "simulation": {
            "images": images,
            "seconds": 1.5,
            "spans": [[int(q), *rest] for q, *rest in SPANS],
            "memory_latency": 40,
            "memory_throughput": 100,
        },
        "build": {"seconds": 0.0, "cached": True, "original_seconds": 21.5},
        "checks": deepcopy(CHECKS),
        "accuracy": {
            "images": 8,
            "correct_float": 7,
            "correct_int": 6,
            "agree": 7,
            "reason": "",
            "test": {"origin": "given", "source": "own.npz: 8 images"},
            "calibration": {"origin": "given", "source": "other.npz: 4 images"},
        },
        "choices": {"clock_mhz": None, "technology": "fpga-ultrascale-plus", "dram": "ddr4"},
        "versions": {"vitreous": "0.1.0"},
    }


def record() -> Record:
    return from_dict(record_data())


class _Schedule:
    """A program with made-up times: each queue takes its instructions in order."""

    def __init__(self) -> None:
        self.program: list[Instruction] = []
        self.spans: list[list[int]] = []
        self.layers: list[dict[str, Any]] = []
        self.free = dict.fromkeys(Queue, 0)
        self.busy = 0

    def place(self, instruction: Instruction, length: int, after: int) -> int:
        """When ``instruction`` is complete that takes ``length`` cycles and issues no earlier than ``after``."""
        assert instruction.queue is not None
        start = max(self.free[instruction.queue], after)
        self.free[instruction.queue] = start + length
        self.spans.append([int(instruction.queue), len(self.program), start, start + length])
        self.program.append(instruction)
        return start + length

    def product(self, label: str, macs: int, ready: int, calls: int = 1, **fields: int) -> int:
        """A layer of ``calls`` products, each with its weights; when the last one is complete."""
        self.layers.append({"label": label, "macs": macs, "error": 0.01})
        words = macs // 32 // calls // 5 * 5
        for _ in range(calls):
            loaded = self.place(transfer(Opcode.LOAD, label, Memory.W), words // 4, 0)
            call = matmul(label, row_tiles=1, columns=4, k_words=min(words, 65535), **fields)
            self.busy += call["k_words"]
            ready = self.place(call, call["k_words"] + 40, max(loaded, self.free[Queue.MATRIX] - 40))
        return ready

    def block(self, name: str, ready: int, tiles: int) -> int:
        """One block of a transformer, whose attention takes ``tiles`` products a half."""
        softmax = {"operands": Operands.SW, "scale": Scale.SOFTMAX}
        ready = self.place(norm(f"{name}.norm1"), 900, ready)
        ready = self.product(f"{name}.attn.qkv", 200_000, ready, 3)
        ready = self.product(f"{name}.attn.scores", 100_000, ready, tiles, destination=Memory.S)
        ready = self.product(f"{name}.attn.context", 100_000, ready, tiles, **softmax)
        ready = self.product(f"{name}.attn.proj", 70_000, ready, destination=Memory.R, residual=1)
        ready = self.place(norm(f"{name}.norm2"), 900, ready)
        ready = self.product(f"{name}.mlp.fc1", 280_000, ready, 2, activation=1)
        return self.product(f"{name}.mlp.fc2", 280_000, ready, 2, destination=Memory.R, residual=1)


SHARES = {
    "rest": {"matrix_wait_load": 8, "matrix_wait_vector": 3, "matrix_stall_readout": 9, "matrix_empty": 10},
    "all": {"load_busy": 5, "vector_busy": 12},
    "busy": {
        "x_reads": 1,
        "w_reads": 1,
        "x_writes": 12,
        "r_reads": 9,
        "r_writes": 15,
        "s_writes": 30,
        "s_reads": 14,
    },
}
"""Of all cycles, of those in which the array works and of the others, one of so many counts for a counter."""


def _large_counters(end: int, busy: int) -> dict[str, int]:
    """Of ``end`` cycles, in ``busy`` of which the array works."""
    cycles = {"all": end, "busy": busy, "rest": end - busy}
    shares = {name: cycles[of] // part for of, parts in SHARES.items() for name, part in parts.items()}
    return counters(cycles=end, array_busy=busy, store_busy=300, fetch_beats=3000, store_beats=1, **shares)


def large_record(blocks: int = 12, tiles: int = 25) -> Record:
    """As many instructions and layers as DeiT-Tiny has, with made-up times: for looking at the page."""
    schedule = _Schedule()
    ready = schedule.product("patch_embed", 30_000, 0, destination=Memory.R)
    for block in range(blocks):
        ready = schedule.block(f"blocks.{block}", ready, tiles)
    end = schedule.place(transfer(Opcode.STORE, "head", Memory.R), 300, ready)
    program = [*schedule.program, make(Opcode.END)]
    data = record_data()
    data["model"] = {
        "name": "large",
        "source": "made up, to look at the page",
        "macs": sum(layer["macs"] for layer in schedule.layers),
        "layers": schedule.layers,
        "attention": [attention(f"blocks.{block}.attn", 16 if block % 3 else 8) for block in range(blocks)],
        "probabilities": PROBABILITIES,
        "quality": QUALITY,
    }
    data["instructions"] = [[i.encode().hex(), i.label] for i in program]
    data["memory"] = memory_data(
        program,
        [
            buffer(f"{i.label} weights {pc}", "W", 512 * (pc % 4), 512, pc, pc + 1, i.label)
            for pc, i in enumerate(program)
            if i.opcode is Opcode.LOAD
        ],
    )
    data["simulation"]["spans"] = schedule.spans
    loads = sum(i.opcode is Opcode.LOAD for i in program)
    one = _large_counters(end, schedule.busy) | {"load_beats": loads}
    data["simulation"]["images"] = [{"index": 0, "counters": one, "simulated_cycles": end, "seconds": 1.9}]
    return from_dict(data)
