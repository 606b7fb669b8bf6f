"""A program as text: one line for each instruction, and a summary of sizes and memories."""

from __future__ import annotations

from vitreous.compiler.accesses import memory_words
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import OPCODES, Instruction, Memory, Opcode, Queue
from vitreous.spec.layout import ceil_div
from vitreous.spec.program import Program


def listing(program: Program) -> str:
    """The whole program, readable: summary, memory map, stored tensors, instructions."""
    config = AcceleratorConfig.from_dict(program.config)
    lines = [
        *_summary(program, config),
        "",
        *_attention(program),
        "",
        *_memory_map(program, config),
        "",
        *_placements(program),
        "",
    ]
    lines.append(f"{'pc':>6}  {'instruction':<12} {'layer':<28} {'waits for':<18} {'signals':<18} what")
    moved = {
        entry["pc"]: f"; {entry['tensor']}: {entry['cause']}" for entry in program.notes.get("transfers", [])
    }
    for pc, instruction in enumerate(program.instructions):
        columns = (
            f"{pc:>6}",
            f"{instruction.opcode.name:<12}",
            f"{instruction.label or '-':<28}",
            f"{_tokens(instruction.wait):<18}",
            f"{_tokens(instruction.signal):<18}",
        )
        what = describe(instruction, config) + moved.get(pc, "")
        lines.append(f"{columns[0]}  {' '.join(columns[1:])} {what}".rstrip())
    return "\n".join(lines) + "\n"


def describe(instruction: Instruction, config: AcceleratorConfig) -> str:
    """What an instruction does, with the words that it reads and writes."""
    spec = OPCODES[instruction.opcode]
    return spec.line(instruction.fields, config, spec.accesses(instruction.fields, config))


def _tokens(mask: int) -> str:
    return ",".join(queue.name.lower() for queue in Queue if mask >> queue & 1)


def _summary(program: Program, config: AcceleratorConfig) -> list[str]:
    counts: dict[str, int] = {}
    for instruction in program.instructions:
        counts[instruction.opcode.name] = counts.get(instruction.opcode.name, 0) + 1
    return [
        f"{program.graph_name} on {config.name} ({config.digest})",
        f"{len(program.instructions)} instructions: "
        + ", ".join(f"{n} {name}" for name, n in counts.items()),
        f"{matrix_cycles(program)} cycles of matrix work, {program.macs} multiply-accumulates",
        f"read window {program.read_size} bytes (program at 0x{program.program_offset:x}, "
        f"input at 0x{program.input_offset:x}), write window {program.write_size} bytes",
    ]


def matrix_cycles(program: Program) -> int:
    """Cycles in which the array is busy or read out, without waiting: ``max(k_words, N)`` for each tile and pass."""
    lanes = int(program.config["array"]["lanes"])
    return sum(
        i["row_tiles"] * ceil_div(i["columns"], lanes) * max(i["k_words"], lanes) * (1 + i["extra_planes"])
        for i in program.instructions
        if i.opcode is Opcode.MATMUL
    )


def _attention(program: Program) -> list[str]:
    """A line for each attention: its precision, what that costs, how far 8 bits were off on calibration images, and
    what 16 bits in it alone take off the output's squared error, where that was measured.
    """
    lines = [
        f"{'attention':<28} {'bits':>4} {'cycles of P V':>14} {'with 8':>9} {'with 16':>9}  8 bits on calibration"
    ]
    for entry in program.notes.get("attention", []):
        bits, cycles, measured = entry["probability_bits"], entry["cycles"], entry["measured"].get("8")
        found = "not measured"
        if measured:
            found = f"rounding {measured['rounding']:.4f}, row sums off by {measured['mass']:.2%} rms"
        if entry["gain"] is not None:
            found += f"; 16 bits gain {entry['gain']['part']:.1%}"
        lines.append(
            f"{entry['layer']:<28} {bits:>4} {cycles[str(bits)]:>14} {cycles['8']:>9} {cycles['16']:>9}  {found}"
        )
    return lines


def _memory_map(program: Program, config: AcceleratorConfig) -> list[str]:
    lines = [f"{'memory':<7}{'words':>13}  {'first pc':>8} {'last pc':>8}  contents"]
    sizes = memory_words(config)
    for memory in (Memory.X, Memory.W, Memory.R, Memory.P):
        entries = [entry for entry in program.notes.get("memory", []) if entry["memory"] == memory.name]
        highest = max((entry["base"] + entry["words"] for entry in entries), default=0)
        lines.append(f"{memory.name:<7}{highest:>6} of {sizes[memory]}")
        for entry in sorted(entries, key=lambda entry: (entry["first_pc"], entry["base"])):
            span = f"{entry['base']}:{entry['base'] + entry['words']}"
            lines.append(f"{'':<7}{span:>13}  {entry['first_pc']:>8} {entry['last_pc']:>8}  {entry['name']}")
    return lines


def _placements(program: Program) -> list[str]:
    lines = ["stored tensors"]
    for p in program.placements:
        rows, columns = p.shape
        part = f"[{p.row_start}:{p.row_start + rows}, {p.column_start}:{p.column_start + columns}]"
        result = "  (the result)" if p.tensor == program.output_tensor else ""
        lines.append(f"  0x{p.offset:08x}  {p.kind:<16} {p.tensor} {part}{result}")
    return lines
