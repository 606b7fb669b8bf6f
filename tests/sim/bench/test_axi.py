"""Whole programs between a memory and a host that do all that AXI allows, and the checks of the two themselves.

`make axi` has the whole matrix (docs/results/axi.md).
"""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Any

import pytest

from campaigns.axi import Place, matrix, page, power_ups, resets, run
from tests.support.sim.small import TINY
from vitreous.sim.bench.axi import power_up
from vitreous.sim.bench.axi.host import Host
from vitreous.sim.bench.axi.memory import WRITES, Memory, Rules, Tally
from vitreous.sim.bench.axi.run import Traffic, build_axi
from vitreous.sim.errors import SimulationError
from vitreous.spec import folders

RULES = Rules(
    beat=8, burst_beats=4, outstanding=1, read_window=(0x1000, 0x3000), write_window=(0x4000, 0x4100)
)
IDLE: dict[str, int | None] = {
    "awvalid": 0, "wvalid": 0, "arvalid": 0, "rready": 1, "bready": 1,
}  # fmt: skip
BURST = {"addr": 0x1000, "len": 3, "size": 3, "burst": 1, "cache": 3, "prot": 0}


def memory(**options: Any) -> Memory:
    settings = {"latency": (0, 0), "stall": 0.0, "writes": WRITES[0], **options}
    return Memory(bytearray(0x5000), RULES, rng=random.Random(1), **settings)


def request(channel: str, number: int, **fields: int | None) -> dict[str, int | None]:
    payload = {f"{channel}{name}": value for name, value in (BURST | fields).items()}
    return IDLE | {f"{channel}valid": 1, f"{channel}id": number} | payload


def beat(strobes: int, last: int) -> dict[str, int | None]:
    return IDLE | {"wvalid": 1, "wdata": 0x0807060504030201, "wstrb": strobes, "wlast": last}


READS = {
    "is not INCR": {"burst": 2},
    "has not the size of the bus": {"size": 2},
    "is not aligned": {"addr": 0x1004},
    "is too long": {"len": 4},
    "crosses 4 KiB": {"addr": 0x1FF8},
    "begins before its window": {"addr": 0x0FE0},
    "has a beat beyond its window": {"addr": 0x2FF8, "len": 1},
    "has another AxCACHE or AxPROT": {"cache": 0},
    "unknown bits in araddr of a valid payload": {"addr": None},
}


@pytest.mark.parametrize("rule", READS)
def test_a_burst_that_breaks_a_rule_is_named(rule: str) -> None:
    checked = memory()
    checked.step(request("ar", 1))
    for _ in range(8):
        checked.step(IDLE)
    assert checked.tally.violations == []
    assert checked.tally.read_beats == 4
    assert checked.quiet
    checked.step(request("ar", 1, **READS[rule]))  # type: ignore[arg-type]
    assert rule in " ".join(checked.tally.violations)


def test_what_is_offered_must_hold() -> None:
    for change in (IDLE, request("ar", 1, len=2), request("ar", 0)):
        checked = memory(stall=0.999999)
        checked.step(request("ar", 1))
        assert checked.tally.violations == []
        assert not checked.quiet
        checked.step(change)
        assert checked.tally.violations == ["ar: valid or payload changed before the transfer"]


def test_more_reads_than_allowed_and_unknown_handshakes() -> None:
    checked = memory(latency=(9, 9))
    for _ in range(2):
        checked.step(request("ar", 1))
    checked.step(IDLE | {"rready": None})
    assert checked.tally.violations == [
        "ar: more than 1 bursts of load are unanswered",
        "rready is unknown",
    ]


@pytest.mark.parametrize("writes", WRITES)
def test_writes_in_every_order(writes: str) -> None:
    """Four beats for one address, the last one partial; the second burst is wrong."""
    checked = memory(writes=writes)
    for strobes, last_at, expected in (
        (0x0F, 1, []),
        (0xF0, 1, ["strobes 0xf0 are not those of the first bytes"]),
        (0xFF, 0, ["WLAST is not on the last beat"]),
    ):
        checked.tally.violations.clear()
        beats, address = (
            [beat(0xFF, 1 - last_at), beat(strobes, last_at)],
            request("aw", 0, addr=0x4000, len=1),
        )
        addressed = False
        for _ in range(12):
            seen = dict(IDLE)
            seen |= {} if addressed else {k: v for k, v in address.items() if k.startswith("aw")}
            seen |= {k: v for k, v in beats[0].items() if k.startswith("w")} if beats else {}
            driven = checked.step(seen)
            addressed |= bool(driven["awready"])
            if beats and driven["wready"]:
                del beats[0]
        assert checked.quiet
        assert all(e in " ".join(checked.tally.violations) for e in expected), checked.tally.violations
        assert bool(checked.tally.violations) == bool(expected)
        if not expected:
            assert checked.tally.bytes_written == 12
            assert checked.data[0x4000:0x4010] == bytes([*range(1, 9), 1, 2, 3, 4, 0, 0, 0, 0])


def test_a_byte_outside_of_the_window() -> None:
    checked = memory(writes="together")
    checked.step(request("aw", 0, addr=0x4100, len=0) | {k: v for k, v in beat(1, 1).items() if k[0] == "w"})
    assert "aw: a burst of store at 0x4100, 1 beats, has a beat beyond its window" in checked.tally.violations
    assert "w: byte 0x4100 is outside of the window" in checked.tally.violations


def test_answers_of_two_ids_are_interleaved_and_out_of_order() -> None:
    checked = memory(latency=(0, 30))
    for number in (0, 1) * 20:
        checked.step(request("ar", number))
        for _ in range(12):
            checked.step(IDLE)
    for _ in range(60):
        checked.step(IDLE)
    assert (checked.tally.read_beats, checked.quiet) == (160, True)
    assert checked.tally.inserted > 0
    assert checked.tally.overtaken > 0


def test_the_host_names_answers_that_change_or_come_unasked() -> None:
    idle: dict[str, int | None] = {"awready": 1, "wready": 1, "arready": 1, "bvalid": 0, "rvalid": 0}
    tally = Tally()
    host = Host(tally, rng=random.Random(2), stall=0.0)
    host.read(8)
    assert host.step(idle)["arvalid"] == 1
    host.step(idle | {"rvalid": 1, "rdata": 5, "rresp": 0})
    assert (host.done, host.answer, tally.violations) == (True, 5, [])
    host.step(idle | {"bvalid": 1, "bresp": 0})
    assert tally.violations == ["host port: an answer on b that nobody waits for"]
    tally.violations.clear()
    slow = Host(tally, rng=random.Random(2), stall=0.999999)
    slow.read(8)
    for _ in range(6):
        slow.step(idle)
    slow.step(idle | {"rvalid": 1, "rdata": 5, "rresp": 0})
    slow.step(idle | {"rvalid": 1, "rdata": 6, "rresp": 2})
    assert len(tally.violations) == 2


VERILOG = """  reg \\$auto$verilog_backend.cc:1:dump_module$1  = 0;
  reg [7:0] value = 8'h00;
  reg \\$signal  = 1'h0;
  reg free;
  initial begin : clear_cells
    integer cleared;
    for (cleared = 0; cleared < 4; cleared = cleared + 1) cells[cleared] = 40'h0;
  end
  initial begin
    table[0] = 12'h001;
  end
"""


def test_power_up_changes_registers_and_memories_alone() -> None:
    kept = [line for line in VERILOG.splitlines() if "table" in line or "verilog_backend" in line]
    nothing = power_up.unknown(VERILOG)
    assert "  reg [7:0] value ;\n  reg \\$signal  ;\n  reg free;\n" in nothing
    assert "clear" not in nothing
    noise = power_up.random_values(VERILOG, 3)
    assert noise == power_up.random_values(VERILOG, 3) != power_up.random_values(VERILOG, 4)
    assert re.search(r"reg \[7:0\] value = 8'h[0-9a-f]+;", noise)
    assert "cells[cleared] = {$random(seed), $random(seed)};" in noise
    for text in (nothing, noise):
        assert all(line in text for line in kept)
    with pytest.raises(SimulationError, match="another form than known: 0 registers and 0 memories"):
        power_up.unknown("module accelerator; endmodule")


def test_bad_settings_are_one_sentence() -> None:
    with pytest.raises(SimulationError, match=r"from a least of 0 cycles to a most, not \(5, 2\)"):
        Traffic(latency=(5, 2))
    with pytest.raises(SimulationError, match="at least 0 and below 1, not 1"):
        Traffic(stall=1)
    with pytest.raises(SimulationError, match="one of data first, addresses first, together, not 'late'"):
        Traffic(writes="late")
    with pytest.raises(SimulationError, match="a power-up with unknown values needs icarus"):
        build_axi(TINY, simulator="verilator", power="unknown")
    with pytest.raises(SimulationError, match="not 'questa' and 'zero'"):
        build_axi(TINY, simulator="questa")


def test_the_matrix_has_every_stall_latency_and_order() -> None:
    traffic = [place.traffic for place in matrix()]
    assert len(traffic) == 49
    assert {t.stall for t in traffic} == {0.0, 0.2, 0.3, 0.5, 0.85}
    assert {t.latency for t in traffic} >= {(0, 20), (0, 500)}
    assert {t.writes for t in traffic} == set(WRITES)
    assert {place.power for place in power_ups()} == {"unknown", "random"}
    assert all(len(place.resets) == 8 for place in resets())


def _chosen() -> list[Place]:
    """One of each order of writes, pauses and latencies at both ends."""
    small = [place for place in matrix() if place.machine == TINY.name]
    wanted = {(0.3, 20, WRITES[0]), (0.0, 500, WRITES[1]), (0.85, 20, WRITES[2])}
    found = [p for p in small if (p.traffic.stall, p.traffic.latency[1], p.traffic.writes) in wanted]
    return [dataclasses.replace(place, power="random") for place in (*found[:3], resets()[0])]


@pytest.mark.slow
@pytest.mark.xdist_group("axi")
@pytest.mark.parametrize("place", _chosen(), ids=str)
def test_every_rule_holds_and_every_byte_is_right(place: Place) -> None:
    """Registers and memories begin with random values, also where resets come in the middle of a program."""
    row = run(place, "verilator", folders.SIMULATORS)
    assert row.holds, row
    assert row.result is not None
    assert row.result.overtaken > 0, "the memory was kind"
    assert "1 of 1 runs hold: 0 violations, 0 bytes that differ from golden" in page([row], "test", "v", 1)


@pytest.mark.slow
@pytest.mark.xdist_group("axi-icarus")
def test_nothing_unknown_at_power_up_reaches_a_handshake_or_a_stored_byte(icarus: str) -> None:
    """In four states: no register and no memory has a value before the reset, which takes two cycles."""
    row = run(power_ups()[0], "icarus", folders.SIMULATORS)
    assert row.holds, row
