"""A case that went wrong, as a file, and as few instructions as show it."""

from __future__ import annotations

import json
from pathlib import Path

from campaigns.fuzz.campaign import Record, run_cases, timing_of
from campaigns.fuzz.case import Case
from campaigns.fuzz.configurations import CONFIGURATIONS
from campaigns.fuzz.referee import Finding
from campaigns.fuzz.simulation import build
from vitreous.golden.machine.faults import first_fault
from vitreous.spec.isa import OPCODES, Instruction, Opcode

ROUNDS = 20
"""Of leaving out instructions."""


def minimize(name: str, index: int, case: Case, folder: Path) -> Case:
    """Leaves out one instruction after another while the case stays wrong, all candidates in one simulation."""
    made, timing = build(name), timing_of(index)
    for _ in range(ROUNDS):
        words = case.words()
        shorter = {at: case.with_words(words[:at] + words[at + 1 :]) for at in range(len(words))}
        records = run_cases(made, name, shorter, timing, folder) if len(words) > 1 else []
        wrong = [record.index for record in records if record.finding is Finding.WRONG]
        if not wrong:
            break
        case = shorter[wrong[-1]]
    return case


def write_case(path: Path, record: Record, seed: int, case: Case) -> None:
    """Everything that the case is: registers, actions, program in words and in bytes, images."""
    config = CONFIGURATIONS[record.configuration]
    text = {
        "configuration": record.configuration,
        "digest": config.digest,
        "seed": seed,
        "index": record.index,
        "kind": record.kind,
        "why": record.why,
        "settings": case.settings,
        "actions": [list(action) for action in case.actions],
        "timing": [timing_of(record.index).latency, timing_of(record.index).throughput],
        "program": [_line(pc, i, record.configuration, case) for pc, i in enumerate(case.code())],
        "words": [word.hex() for word in case.words()],
        "image": case.image.hex(),
        "window": case.window.hex(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(text, indent=1))


def _line(pc: int, i: Instruction | None, name: str, case: Case) -> str:
    if i is None:
        return f"{pc} unknown opcode"
    if i.opcode is Opcode.END:
        return f"{pc} END"
    config = CONFIGURATIONS[name]
    fault = first_fault(i, pc, config, case.sizes)
    what = str(fault) if fault else str(OPCODES[i.opcode].accesses(i.fields, config))
    return f"{pc} {i.opcode.name} wait {i.wait:x} signal {i.signal:x}: {what}"
