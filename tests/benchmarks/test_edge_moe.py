"""The calculation of a published machine: its work is the model's, and its time follows ports, routing and units."""

from benchmarks.edge_moe import (
    CLOCK_MHZ,
    EXPERTS,
    TOKENS,
    TOP,
    Port,
    cycles,
    edge_moe,
    mac_only,
    macs,
    milliseconds,
    our_experts,
    uniform_loads,
    weights_alone,
    with_bus,
)


def test_the_work_is_that_of_the_model() -> None:
    """782.7 M multiply-accumulates (docs: M3ViT-Tiny), whoever the experts are."""
    assert round(macs(edge_moe(Port())) / 1e6, 1) == 782.7
    assert macs(edge_moe(Port(), [TOKENS] * TOP + [0] * (EXPERTS - TOP))) == macs(edge_moe(Port()))
    assert sum(uniform_loads()) == TOKENS * TOP
    assert len(uniform_loads()) == EXPERTS


def test_a_wider_port_is_never_slower_and_a_longer_latency_never_faster() -> None:
    times = [cycles(edge_moe(Port(bits=bits))) for bits in (32, 64, 128, 256)]
    assert times == sorted(set(times), reverse=True)
    times = [cycles(edge_moe(Port(latency=latency))) for latency in (1, 40, 200, 2000)]
    assert times == sorted(set(times))


def test_operations_alone_are_a_lower_bound() -> None:
    assert mac_only(edge_moe(Port())) < cycles(edge_moe(Port(bits=1 << 12, latency=0)))
    assert weights_alone(Port()) > 0
    assert milliseconds(CLOCK_MHZ * 1e3) == 1


def test_a_stream_takes_two_beats_a_block_on_half_a_port() -> None:
    assert Port(bits=128, latency=0).cycles(1000) == 2000
    assert Port(bits=256, latency=0).cycles(1000) == 1000
    assert Port(bits=256, latency=1600, outstanding=1).cycles(160) == 10 * (16 + 1600) + 1600


def test_our_experts_take_their_weights_or_their_tiles() -> None:
    """With few tokens each, the bus decides; all tokens in two experts are the array's work."""
    few, all_to_two = [1] * EXPERTS, [TOKENS] * TOP
    narrow, wide = with_bus("edge256", 64), with_bus("edge256", 256)
    assert our_experts(narrow, few) > 3 * our_experts(wide, few)
    assert our_experts(narrow, all_to_two) == our_experts(wide, all_to_two)
    assert our_experts(wide, all_to_two) > our_experts(wide, few)
