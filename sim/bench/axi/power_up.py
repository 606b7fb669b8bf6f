"""The accelerator's Verilog without the values that registers and memories have after configuration: a chip that is
not configured has none, and a program must not need them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from vitreous.sim.errors import SimulationError

Replacement = Callable[[re.Match[str]], str]

# Yosys gives `always @*` blocks something to wake up by; that is no register.
_REGISTER = re.compile(r"^(  reg (?:\[(\d+):0\] )?(?!\\\$auto\$verilog_backend)\S+ +)= [^;]+;$", re.MULTILINE)
_MEMORY = re.compile(
    r"^  initial begin : clear_\S+\n    integer cleared;\n    (for \(.*\) )(\S+\[cleared\]) = (\d+)'h0;\n  end\n",
    re.MULTILINE,
)


def unknown(verilog: str) -> str:
    """No register and no memory has an initial value; tables keep theirs."""
    return _without(verilog, lambda match: f"{match[1]};", lambda match: "")


def random_values(verilog: str, seed: int) -> str:
    """Every register has a random initial value, and every word of a memory too."""
    rng = random.Random(seed)

    def register(match: re.Match[str]) -> str:
        width = int(match[2] or 0) + 1
        return f"{match[1]}= {width}'h{rng.getrandbits(width):x};"

    def memory(match: re.Match[str]) -> str:
        words = ", ".join(["$random(seed)"] * -(-int(match[3]) // 32))
        return (
            f"  initial begin : noise_{rng.getrandbits(32):08x}\n    integer cleared, seed;\n"
            f"    seed = {rng.getrandbits(31)};\n    {match[1]}{match[2]} = {{{words}}};\n  end\n"
        )

    return _without(verilog, register, memory)


def _without(verilog: str, register: Replacement, memory: Replacement) -> str:
    text, registers = _REGISTER.subn(register, verilog)
    text, memories = _MEMORY.subn(memory, text)
    left = re.findall(r"^  initial begin : clear_", text, re.MULTILINE)
    if not registers or not memories or left:
        raise SimulationError(
            f"The Verilog has another form than known: {registers} registers and {memories} memories were found, "
            f"{len(left)} memories were not"
        )
    return text
