"""What is changed in the Verilog that Yosys writes, so that other tools take it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vitreous.hw.memory import ram
from vitreous.spec.errors import VitreousError

_EMPTY = re.compile(r"^  wire \[-1:0\] [^;]*;\n", re.MULTILINE)
_INITIAL = re.compile(r"^  initial begin\n((?:    [^\n]*;\n)+)  end\n", re.MULTILINE)
_ZERO_WORD = re.compile(r"    (\S+)\[(\d+)\] = (\d+)'[hd]0+;")
_TRIGGER = re.compile(r"^  reg (\\\$auto\$verilog_backend\S+ ) = 0;\n", re.MULTILINE)


class VerilogError(VitreousError, ValueError):
    """Verilog that cannot be written; the sentence says what and where."""


@dataclass(frozen=True, kw_only=True)
class LeafMemory:
    """A module that holds an array of words and nothing else (``hw.memory.ram``).

    module : its name. instances : how many stand in the design. words, bits : its size. mask_bits : bits that one bit
    of ``write_en`` writes.
    """

    module: str
    instances: int
    words: int
    bits: int
    mask_bits: int


def rewrite(text: str, top: str) -> str:
    """Yosys's text with shorter memories, without empty signals, and with blocks that every simulator runs.

    Raises VerilogError for a signal of width 0 that is in use, and two different memories of one name.
    """
    text = _INITIAL.sub(_fold, text)
    # A signal of width 0 (an index below depth 1) is declared, as two bits, and used nowhere.
    text = _EMPTY.sub("", text)
    if "[-1:0]" in text:
        raise VerilogError("A signal of width 0 is in use")
    # Yosys makes every `always @*` read a register of value 0, so that blocks whose inputs never change run once: the
    # value is an event. With IEEE 1800 the value of a declaration is there before any block listens, and is none. A
    # non-blocking assignment is made after all blocks of time 0 have begun to listen, whatever their order.
    text = _TRIGGER.sub(r"  reg \1;\n  initial \1<= 1'b0;\n", text)
    return _name_memories(text, top)


def _fold(match: re.Match[str]) -> str:
    """The initial zeros of a memory, one statement for each word, as a loop: half of the text otherwise."""
    words = [_ZERO_WORD.fullmatch(line) for line in match[1].splitlines()]
    first = words[0]
    if first is None or [word and word.groups() for word in words] != [
        (first[1], str(index), first[3]) for index in range(len(words))
    ]:
        return match[0]  # a table with contents, or a register
    loop = f"for (cleared = 0; cleared < {len(words)}; cleared = cleared + 1) {first[1]}[cleared] = {first[3]}'h0;"
    return f"  initial begin : clear_{first[1]}\n    integer cleared;\n    {loop}\n  end\n"


def _name_memories(text: str, top: str) -> str:
    """Leaf memories as ``TOP_ram_1r1w_WORDSxBITSxMASK``, each once, at the end of the text and without ``rst``."""
    path = rf"\\{top}\.(?:\S+\.)?({ram.NAME.pattern}) "
    bodies: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        name, body = match[1], match[0]
        body = body.replace("(rst, ", "(").replace("  input rst;\n  wire rst;\n", "")
        body = re.sub(path, rf"{top}_\1 ", body)
        found = re.findall(r"^  (?:input|output) (?:\[\d+:0\] )?(.*);", body, re.MULTILINE)
        if sorted(found) != sorted(ram.PORTS):
            raise VerilogError(
                f"The memory {name} has the ports {', '.join(found)}, not {', '.join(ram.PORTS)}"
            )
        if bodies.setdefault(name, body) != body:
            raise VerilogError(f"Two memories of the name {name} differ")
        return ""

    text = re.sub(rf"^module {path}\(.*?^endmodule\n\n?", take, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(
        rf"^  {path} (.*?)    \.rst\(rst\),\n", rf"  {top}_\1 \5", text, flags=re.MULTILINE | re.DOTALL
    )
    return text.rstrip("\n") + "\n" + "".join(f"\n{body.rstrip()}\n" for _, body in sorted(bodies.items()))


def split_memories(text: str, top: str) -> tuple[str, str]:
    """The text of all other modules, and that of the leaf memories."""
    found = re.search(rf"^module {top}_{ram.NAME.pattern} ", text, re.MULTILINE)
    if found is None:
        raise VerilogError(f"The Verilog of {top} has no memory")
    return text[: found.start()], text[found.start() :]


def leaf_memories(text: str, top: str) -> list[LeafMemory]:
    """Every leaf memory of the text, sorted by name."""
    modules = sorted(
        {match[0]: match for match in re.finditer(rf"\b{top}_{ram.NAME.pattern}\b", text)}.items()
    )
    return [
        LeafMemory(
            module=name,
            instances=len(re.findall(rf"^  {name} ", text, re.MULTILINE)),
            words=int(match["words"]),
            bits=int(match["bits"]),
            mask_bits=int(match["mask_bits"]),
        )
        for name, match in modules
    ]
