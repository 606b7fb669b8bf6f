from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.spec.isa import (
    COUNTERS,
    FIELDS,
    INSTRUCTION_BYTES,
    PARAMETER_BYTES,
    PARAMETER_FIELDS,
    QUEUE_OF,
    Field,
    Instruction,
    Opcode,
    ProgramError,
    Queue,
    Register,
    check_queue,
    decode,
    layout,
    make,
)

ZEROS = {opcode: {f.name: 0 for f in FIELDS[opcode]} for opcode in Opcode}


def values_of(field: Field) -> st.SearchStrategy[int]:
    half = 1 << field.width - 1
    return st.integers(-half, half - 1) if field.signed else st.integers(0, 2 * half - 1)


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    opcode = draw(st.sampled_from(Opcode))
    fields = {f.name: draw(values_of(f)) for f in FIELDS[opcode]}
    return Instruction(
        opcode=opcode, wait=draw(st.integers(0, 15)), signal=draw(st.integers(0, 15)), fields=fields
    )


@given(instructions())
def test_round_trip(instruction: Instruction) -> None:
    data = instruction.encode()
    assert len(data) == INSTRUCTION_BYTES
    assert decode(data) == instruction


@pytest.mark.parametrize("opcode", Opcode)
def test_each_field_has_bits_of_its_own(opcode: Opcode) -> None:
    empty = int.from_bytes(make(opcode, **ZEROS[opcode]).encode(), "little")
    taken = 0
    for f in FIELDS[opcode]:
        ones = -1 if f.signed else (1 << f.width) - 1
        bits = int.from_bytes(make(opcode, **{**ZEROS[opcode], f.name: ones}).encode(), "little") ^ empty
        assert bits.bit_count() == f.width
        assert not bits & taken
        taken |= bits
    assert taken.bit_length() <= 8 * INSTRUCTION_BYTES
    assert not taken & 0xFFFF, "the header is in the lowest 16 bits"


@given(st.sampled_from(Opcode), st.data())
def test_a_value_outside_its_field_is_refused(opcode: Opcode, data: st.DataObject) -> None:
    if not FIELDS[opcode]:
        return
    f = data.draw(st.sampled_from(FIELDS[opcode]))
    wrong = 1 << f.width - (1 if f.signed else 0)
    with pytest.raises(ProgramError, match=rf"{opcode.name}\.{f.name} must be in .*, not {wrong}"):
        make(opcode, **{**ZEROS[opcode], f.name: wrong})


def test_unknown_and_missing_fields_are_refused() -> None:
    with pytest.raises(ProgramError, match="FILL has missing or unknown fields: colour, words"):
        make(Opcode.FILL, memory=0, base=0, colour=1)
    with pytest.raises(ProgramError, match="END.wait must be in 0..15, not 16"):
        Instruction(opcode=Opcode.END, wait=16)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (bytes(31), "An instruction has 32 bytes, not 31"),
        (b"\x0f" + bytes(31), "Unknown opcode 15"),
        (bytes(31) + b"\x80", "END has bits set beyond its fields"),
        (b"\x00\x10" + bytes(30), "END has bits set beyond its fields"),
    ],
)
def test_decode_refuses(data: bytes, sentence: str) -> None:
    with pytest.raises(ProgramError, match=sentence):
        decode(data)


def test_every_opcode_has_fields_and_all_but_end_a_queue() -> None:
    assert set(FIELDS) == set(Opcode)
    assert set(Opcode) - set(QUEUE_OF) == {Opcode.END}
    assert all([f.name for f in layout(o)][:4] == ["opcode", "wait", "signal", "reserved"] for o in Opcode)


def test_parameters_fit_their_word() -> None:
    assert sum(f.width for f in PARAMETER_FIELDS) <= 8 * PARAMETER_BYTES


def test_counters_and_registers_have_one_place_each() -> None:
    names = [name for name, _ in COUNTERS]
    assert len(set(names)) == len(names)
    assert len({int(r) for r in Register}) == len(Register)
    assert max(Register) == Register.COUNTERS
    assert Register.COUNTERS + 8 * len(COUNTERS) <= 1 << 12


def test_a_unit_that_lacks_an_opcode_of_its_queue_is_refused() -> None:
    check_queue(Queue.VECTOR, Opcode.NORM, Opcode.POOL)
    with pytest.raises(
        ProgramError, match="^Queue VECTOR: POOL is in the table of opcodes or in its unit, not in both$"
    ):
        check_queue(Queue.VECTOR, Opcode.NORM)
    with pytest.raises(ProgramError, match="^Queue STORE: FILL is in"):
        check_queue(Queue.STORE, Opcode.STORE, Opcode.FILL)
